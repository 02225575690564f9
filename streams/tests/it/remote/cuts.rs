//! Connections are cut at every kind of request, before it is passed on and after it was carried out: outputs and state equal what the input says.

use std::collections::BTreeMap;
use std::time::Duration;

use millpond_log::broker::{Broker, BrokerOptions, FeatureUpdate};
use millpond_log::metadata::features::{FeatureUpgrade, TRANSACTION_VERSION};
use millpond_log::server::{Server, ServerOptions};
use millpond_streams::runtime::{Streams, StreamsConfig};

use super::cut_proxy::{Cut, CutProxy};
use crate::support::{PATIENCE, expected, last_counts, read_committed, send_lines, word_count};

/// What every job asks for.
const COMMON: [&str; 11] = [
    "ApiVersions",
    "CreateTopics",
    "DeleteRecords",
    "DescribeConfigs",
    "Fetch",
    "FindCoordinator",
    "InitProducerId",
    "ListOffsets",
    "Metadata",
    "OffsetFetch",
    "Produce",
];
const TRANSACTIONS: [&str; 3] = ["DescribeTransactions", "EndTxn", "TxnOffsetCommit"];
const OLDER_TRANSACTIONS: [&str; 2] = ["AddOffsetsToTxn", "AddPartitionsToTxn"];

struct Job {
    seed: u64,
    exactly_once: bool,
    tv2: bool,
    slow_ms: u64,
}

impl Job {
    /// Runs it with cuts; returns how often each kind of request was cut each way, and how many recoveries there were.
    async fn run(self) -> (BTreeMap<(String, Cut), u64>, u64) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let broker = Broker::start(BrokerOptions::at(dir.path().join("log")))
            .await
            .expect("the broker starts");
        if !self.tv2 {
            let older = FeatureUpdate {
                name: TRANSACTION_VERSION.to_owned(),
                level: 0,
                upgrade: FeatureUpgrade::UnsafeDowngrade,
            };
            broker
                .update_features(vec![older], false)
                .await
                .expect("the feature can be switched off");
        }
        for (name, partitions) in [("lines", 4), ("counts", 1)] {
            crate::support::create(&broker, name, partitions).await;
        }
        let proxy = CutProxy::start(self.seed, 12, self.slow_ms).await;
        let options = ServerOptions {
            advertised: Some(("127.0.0.1".to_owned(), proxy.address.port())),
            ..ServerOptions::on("127.0.0.1:0".parse().expect("an address"))
        };
        let server = Server::start(broker.clone(), options)
            .await
            .expect("the server starts");
        proxy.lead_to(Some(server.local_addr()));
        let config = StreamsConfig {
            workers: 2,
            exactly_once: self.exactly_once,
            commit_interval: Duration::from_millis(10),
            purge_interval: Duration::from_millis(20),
            fetch_max_wait: Duration::from_millis(50),
            recoveries_max: 50,
            ..StreamsConfig::default()
        };
        let lines: Vec<String> = (0..600).map(|n| format!("w{} w{} all", n % 7, n % 31)).collect();
        let mut recoveries = 0;
        // A second start asks everything of a start again.
        for half in lines.chunks(300) {
            let app = Streams::builder(word_count())
                .application_id("words")
                .connect(proxy.address.to_string())
                .state_dir(dir.path().join("state"))
                .config(config.clone())
                .run()
                .await
                .expect("the application starts");
            for part in half.chunks(20) {
                send_lines(&broker, part.iter().cloned()).await;
                app.wait_until_caught_up().await.expect("it catches up");
            }
            recoveries += app.metrics().recoveries;
            app.shutdown(PATIENCE).await.expect("it ends");
        }
        let counts = read_committed(&broker, "counts").await;
        let expected = expected(lines.iter().map(String::as_str));
        if self.exactly_once {
            assert_eq!(last_counts(&counts), expected, "seed {}", self.seed);
        }
        let app = Streams::builder(word_count())
            .application_id("words")
            .embedded(&broker)
            .state_dir(dir.path().join("state"))
            .config(config)
            .run()
            .await
            .expect("the application starts on the same state");
        app.wait_until_running().await.expect("it runs");
        let store = app.store::<String, u64>("word-counts").expect("the store exists");
        let state: BTreeMap<String, u64> = store.all().expect("readable").into_iter().collect();
        match self.exactly_once {
            true => assert_eq!(state, expected, "seed {}", self.seed),
            // What was done again may count twice, but nothing may be missing.
            false => {
                for (word, count) in expected {
                    assert!(state.get(&word).is_some_and(|found| *found >= count), "{word}");
                }
            }
        }
        app.shutdown(PATIENCE).await.expect("it ends");
        (proxy.cuts(), recoveries)
    }
}

fn assert_cut_both_ways(cuts: &BTreeMap<(String, Cut), u64>, kinds: &[&str]) {
    for kind in kinds {
        for cut in [Cut::Before, Cut::After] {
            let key = ((*kind).to_owned(), cut);
            assert!(
                cuts.contains_key(&key),
                "{kind} was never cut {cut:?}; cut were {cuts:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_at_any_request_neither_loses_nor_doubles_anything() {
    // The second time the broker is slow, too.
    for (seed, slow_ms) in [(1, 0), (2, 10)] {
        let job = Job {
            seed,
            exactly_once: true,
            tv2: true,
            slow_ms,
        };
        let (cuts, recoveries) = job.run().await;
        assert_cut_both_ways(&cuts, &COMMON);
        assert_cut_both_ways(&cuts, &TRANSACTIONS);
        assert!(
            recoveries > 0,
            "commits were cut, so there was something to resolve"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_in_the_older_protocol_of_transactions() {
    let job = Job {
        seed: 3,
        exactly_once: true,
        tv2: false,
        slow_ms: 0,
    };
    let (cuts, recoveries) = job.run().await;
    assert_cut_both_ways(&cuts, &COMMON);
    assert_cut_both_ways(&cuts, &TRANSACTIONS);
    assert_cut_both_ways(&cuts, &OLDER_TRANSACTIONS);
    assert!(
        recoveries > 0,
        "commits were cut, so there was something to resolve"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_transactions_nothing_is_lost() {
    let job = Job {
        seed: 4,
        exactly_once: false,
        tv2: true,
        slow_ms: 0,
    };
    let (cuts, _) = job.run().await;
    assert_cut_both_ways(&cuts, &["OffsetCommit", "Produce", "Fetch", "OffsetFetch"]);
}
