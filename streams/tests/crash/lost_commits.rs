//! Ends of transactions whose answer never comes, before they are carried out, after it, or long after it: on RocksDB, the log in this process.

use std::sync::Arc;

use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::clock::SystemClock;
use millpond_log::rng::SeededRng;
use millpond_streams::runtime::{EmbeddedLog, LogClient};

use crate::child::launcher;
use crate::hooked_log::HookedLog;
use crate::job::create_topics;
use crate::job::feeder::Feeder;
use crate::process::Identities;
use crate::settings::{PATIENCE, block_on, plan, say, seed};
use crate::unreliable::Unreliable;
use crate::verdict::directory_is_right;

pub(crate) fn lost_answers() {
    block_on(async {
        let seed = seed();
        let plan = plan(seed, 400);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let broker = Broker::start(BrokerOptions::at(dir.path().join("log")))
            .await
            .expect("the broker starts");
        let log: Arc<dyn LogClient> = Arc::new(EmbeddedLog::new(broker.clone()));
        create_topics(&*log, &plan).await;
        let unreliable = Unreliable {
            rng: Arc::new(SeededRng::new(seed)),
            clock: SystemClock::shared(),
            one_in: 3,
        };
        let app = launcher(&plan, &dir.path().join("state"))
            .log_client(Arc::new(HookedLog::over(log.clone(), unreliable)))
            .run()
            .await
            .expect("the application starts");
        let mut feeder = Feeder::open(log, SystemClock::shared(), plan)
            .await
            .expect("the input can be written");
        let mut identities = Identities::default();
        while feeder.written() < plan.records {
            feeder
                .feed(feeder.written() + 10)
                .await
                .expect("the input is taken");
            app.wait_until_caught_up().await.expect("it catches up");
            identities.check(&dir.path().join("state"));
        }
        feeder.finish().await.expect("the input is taken");
        app.wait_until_caught_up().await.expect("it catches up");
        let metrics = app.metrics();
        assert!(
            metrics.recoveries > 10,
            "{} answers were lost",
            metrics.recoveries
        );
        assert_eq!(
            metrics.restored_records, 0,
            "no answer that is lost costs any state"
        );
        app.shutdown(PATIENCE).await.expect("it ends");
        broker.shutdown().await.expect("the broker stops");
        say(&format!(
            "{} commits with an unknown outcome, {} others",
            metrics.recoveries, metrics.commits
        ));
        directory_is_right(dir.path(), &plan).await;
        identities.check(&dir.path().join("state"));
    });
}
