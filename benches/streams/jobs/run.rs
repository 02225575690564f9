//! Runs a job and tells on stdout how far it is, one line a mark: `running`, `first N` (the first commit), `warm N`, `end N`, N being the records
//! committed since this process started. Ends in an orderly way when its stdin ends; `restored N` then says how many bytes of changelogs were replayed.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::{Either, select};
use millpond_log::clock::SystemClock;
use millpond_streams::runtime::StreamsHandle;

use crate::arguments::{Arguments, Outcome};
use crate::job::PARTITIONS;
use crate::place::Place;

/// How often the counters are looked at.
const LOOK: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run(arguments: &Arguments) -> Outcome {
    let job = arguments.job()?;
    let records: u64 = arguments.needed("records")?;
    let warm: u64 = arguments.needed("warm")?;
    let state: PathBuf = arguments.needed("state")?;
    let place = Place::open(arguments).await?;
    let app = place
        .launcher(job.topology()?)
        .application_id("beside")
        .state_dir(state)
        .workers(usize::try_from(PARTITIONS)?)
        .run()
        .await?;
    println!("running");

    watch(&app, records, warm).await?;
    println!("end {}", app.metrics().records_in);

    std::io::stdin().read_to_end(&mut Vec::new())?;
    app.shutdown(PATIENCE).await?;
    println!("restored {}", app.metrics().restored_bytes);
    drop(app);
    place.close().await
}

/// Until so many records are committed, or there are no more.
async fn watch(app: &StreamsHandle, records: u64, warm: u64) -> Outcome {
    let clock = SystemClock::shared();
    let mut marks = [("first", 1), ("warm", warm)].into_iter().peekable();
    let mut caught_up = app.wait_until_caught_up();
    let mut is_over = false;
    loop {
        let done = app.metrics().records_in;
        while let Some((mark, _)) = marks.next_if(|(_, from)| done >= *from) {
            println!("{mark} {done}");
        }
        if is_over || done >= records {
            return Ok(());
        }
        match select(caught_up, clock.sleep(LOOK)).await {
            Either::Left((ended, _)) => {
                ended?;
                // Once more: the last commit may have come since the counters were read.
                (caught_up, is_over) = (app.wait_until_caught_up(), true);
            }
            Either::Right(((), waiting)) => caught_up = waiting,
        }
    }
}
