//! Everything is fed: is everything as the input says? And would we see it if it were not?

use std::path::Path;
use std::sync::Arc;

use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::storage::disk_fs::FsDisk;
use millpond_log::storage::verify::verify;
use millpond_streams::runtime::{EmbeddedLog, LogClient, StreamsLauncher};

use crate::child::launcher;
use crate::job::recompute::Expected;
use crate::job::topology::{BAGS, FOLDS, topology};
use crate::job::{Plan, check};
use crate::settings::{PATIENCE, replay_limit, say};

/// Runs the job on `state` until it has nothing to do any more, and holds its outputs, its state, and a state made from the changelogs alone against the input.
pub(crate) async fn is_right(
    log: &dyn LogClient,
    plan: &Plan,
    run_on: impl Fn(StreamsLauncher) -> StreamsLauncher,
    state: &Path,
) {
    let app = run_on(launcher(plan, state))
        .run()
        .await
        .expect("the application starts");
    app.wait_until_caught_up().await.expect("it catches up");
    let (expected, compared) = check::finished(log, plan)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(compared.input > 0 && compared.output > 0, "nothing was compared");
    check::state(&app, &expected).unwrap_or_else(|error| panic!("{error}"));
    let metrics = app.metrics();
    let limit = replay_limit(&topology(plan));
    assert!(
        metrics.restored_bytes <= limit,
        "{} bytes were replayed, more than {limit}",
        metrics.restored_bytes
    );
    assert_eq!(
        metrics.late_records, 0,
        "the input was meant to have no late records"
    );
    app.shutdown(PATIENCE).await.expect("it ends");
    drop(app);
    from_changelogs(plan, &run_on, &expected).await;
    say(&format!(
        "{} records in, {} out: all as the input says; the last start replayed {} bytes (at most {limit})",
        compared.input, compared.output, metrics.restored_bytes
    ));
}

/// State == fold(changelog): a state directory of its own is filled from the changelogs.
async fn from_changelogs(
    plan: &Plan,
    run_on: &impl Fn(StreamsLauncher) -> StreamsLauncher,
    expected: &Expected,
) {
    let empty = tempfile::tempdir().expect("a temporary directory");
    let app = run_on(launcher(plan, empty.path()))
        .run()
        .await
        .expect("the application starts");
    app.wait_until_caught_up().await.expect("it catches up");
    assert!(app.metrics().restored_records > 0, "the changelogs were replayed");
    check::state(&app, expected).unwrap_or_else(|error| panic!("from the changelogs: {error}"));
    app.shutdown(PATIENCE).await.expect("it ends");
}

/// The same for a directory with a log and a state of it, which nobody uses; the log's derived files too.
pub(crate) async fn directory_is_right(dir: &Path, plan: &Plan) {
    let broker = Broker::start(BrokerOptions::at(dir.join("log")))
        .await
        .expect("the broker starts");
    let log: Arc<dyn LogClient> = Arc::new(EmbeddedLog::new(broker.clone()));
    is_right(
        &*log,
        plan,
        |launcher| launcher.embedded(&broker),
        &dir.join("state"),
    )
    .await;
    drop(log);
    broker.shutdown().await.expect("the broker stops");
    log_is_sound(&dir.join("log"));
}

/// Every file that is derived from the log is what the log makes it.
pub(crate) fn log_is_sound(dir: &Path) {
    let report = verify(&FsDisk::shared(), dir).expect("the log can be verified");
    if let Some(problem) = report.all_problems().next() {
        panic!("a derived file does not match its log: {problem:?}");
    }
}

/// A check that never fails proves nothing: outputs that are wrong in one record each are seen.
pub(crate) fn checks_see() {
    use crate::job::generate::record;
    use crate::job::log_io::Read;
    use crate::job::recompute::{Input, expected};
    use crate::job::{INPUTS, PARTITIONS};

    let plan = crate::settings::plan(1, 300);
    let mut input = Input::new();
    for name in INPUTS {
        let read = |partition: i32, index: u64| {
            let made = record(&plan, name, partition, index)?;
            Some(Read {
                partition,
                offset: i64::try_from(index).ok()?,
                timestamp: made.timestamp,
                key: made.key,
                value: made.value.unwrap_or_default(),
            })
        };
        let partitions = 0..PARTITIONS;
        let records = partitions
            .flat_map(|partition| (0..=plan.records).map_while(move |index| read(partition, index)));
        input.insert(name.to_owned(), records.collect());
    }
    let expected = expected(&input);
    let right = || expected.as_outputs();
    assert_eq!(check::compare(&right(), &expected, true), Ok(()));
    for name in BAGS.into_iter().chain(FOLDS) {
        let mut lost = right();
        lost.get_mut(name).expect("an output").pop();
        assert!(
            check::compare(&lost, &expected, true).is_err(),
            "{name}: a lost record"
        );
        let mut changed = right();
        changed.get_mut(name).expect("an output")[0].value.push('x');
        assert!(
            check::compare(&changed, &expected, false).is_err() || FOLDS.contains(&name),
            "{name}: a changed record"
        );
        assert!(
            check::compare(&changed, &expected, true).is_err(),
            "{name}: a changed record"
        );
    }
    for name in BAGS {
        let mut doubled = right();
        let reads = doubled.get_mut(name).expect("an output");
        reads.push(reads[0].clone());
        assert!(
            check::compare(&doubled, &expected, false).is_err(),
            "{name}: a doubled record"
        );
    }
}
