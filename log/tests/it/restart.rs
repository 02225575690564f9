//! Crashes at named points and at random moments; after each restart the promises must hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use millpond_log::broker::{Broker, BrokerOptions, ErrorKind, Isolation, OffsetAndMetadata};
use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_log::faults::Faults;
use millpond_log::storage::disk_sim::{CrashMode, SimDisk};
use millpond_log::types::{GroupId, Offset};

use crate::support::{Machine, broker_at, committed_values, create, partition, simulate, topic};

#[tokio::test]
async fn a_second_broker_in_the_same_directory_is_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let refused = Broker::start(BrokerOptions::at(dir.path())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage);
    assert!(
        refused.to_string().contains(&dir.path().display().to_string()),
        "{refused}"
    );
    broker.shutdown().await.unwrap();
    broker_at(dir.path()).await.shutdown().await.unwrap();
}

#[tokio::test]
async fn calls_after_shutdown_err_and_shutdown_again_is_a_no_op() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    broker.shutdown().await.unwrap();
    broker.shutdown().await.unwrap();
    let refused = crate::support::fetch(&broker, &partition("orders", 0), 0, Isolation::ReadUncommitted)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fatal);
    assert!(
        broker
            .init_producer_id(None, Duration::from_secs(1), None)
            .await
            .is_err()
    );
}

/// One transaction over two partitions and an offset, which crashes at the `hit`-th passing of a kill point.
async fn crash_at(point: &'static str, hit: usize, seed: u64, mode: CrashMode) {
    let mut machine = Machine::new(seed);
    let broker = machine.start().await;
    let out = create(&broker, "out", 2).await;
    create(&broker, "in", 1).await;
    drop(broker);
    // Nothing was shut down; the disk has it all.
    machine.disk.crash(CrashMode::KeepAll);

    let (disk, hits) = (machine.disk.clone(), Arc::new(AtomicUsize::new(0)));
    let seen = hits.clone();
    machine.faults = Faults::none().on_point(Arc::new(move |name: &str| {
        if name == point && seen.fetch_add(1, Ordering::SeqCst) + 1 == hit {
            disk.crash(mode);
        }
    }));
    let broker = machine.start().await;
    let mut acknowledged = 0;
    let group = GroupId::new("copiers");
    let mut producer = Producer::new(&broker, ProducerOptions::transactional("job"))
        .await
        .unwrap();
    let mut unknown = None;
    for round in 1..=4 {
        let outcome = async {
            producer.begin_transaction()?;
            for number in 0..2 {
                drop(
                    producer
                        .send(
                            ProducerRecord::new(&out)
                                .partition(number)
                                .value(format!("{round}")),
                        )
                        .await?,
                );
            }
            let read_to = vec![(partition("in", 0), OffsetAndMetadata::new(Offset::new(round)))];
            producer.send_offsets(&group, read_to).await?;
            producer.commit_transaction().await
        };
        match outcome.await {
            Ok(()) => acknowledged = round,
            Err(_) => {
                unknown = Some(round);
                break;
            }
        }
    }
    assert!(
        hits.load(Ordering::SeqCst) >= hit,
        "{point} was not passed {hit} times"
    );
    assert!(unknown.is_some(), "the crash at {point} went unnoticed");
    drop((producer, broker));

    machine.faults = Faults::none();
    let broker = machine.start().await;
    // Fence, then look: this is how an unknown outcome is resolved.
    drop(
        Producer::new(&broker, ProducerOptions::transactional("job"))
            .await
            .unwrap(),
    );
    let committed = broker
        .offset_fetch(&group, None)
        .await
        .unwrap()
        .first()
        .map_or(0, |(_, offset)| offset.offset.get());
    assert!(
        (acknowledged..=acknowledged + 1).contains(&committed),
        "acknowledged {acknowledged}, found {committed}"
    );
    let expected: Vec<String> = (0..2)
        .flat_map(|_| (1..=committed).map(|round| format!("{round}")))
        .collect();
    assert_eq!(
        committed_values(&broker, "out").await,
        expected,
        "records and offset differ after {point}"
    );
    for name in ["out", "__consumer_offsets"] {
        for number in 0..broker.partition_count(&topic(name)).unwrap() {
            let offsets = broker.partition_log(&partition(name, number)).unwrap().offsets();
            assert_eq!(
                offsets.last_stable_offset, offsets.log_end_offset,
                "a transaction hangs in {name}-{number}"
            );
        }
    }
}

#[test]
fn a_crash_at_any_kill_point_of_a_commit_leaves_all_or_nothing() {
    let mut seed = 100;
    for point in ["K12", "K13", "K14", "K15"] {
        for hit in 1..=3 {
            for mode in [
                CrashMode::LoseUnsynced,
                CrashMode::KeepRandomPrefix,
                CrashMode::KeepAll,
            ] {
                seed += 1;
                println!("{point} hit {hit} {mode:?}");
                simulate(crash_at(point, hit, seed, mode));
            }
        }
    }
}

/// Committed rounds of each worker; the same on every partition, or a transaction was torn.
async fn rounds(broker: &Broker) -> [usize; 3] {
    let mut found: Option<[usize; 3]> = None;
    for number in 0..3 {
        let values =
            crate::support::partition_values(broker, &partition("out", number), Isolation::ReadCommitted)
                .await;
        let of = |worker: &str| values.iter().filter(|value| *value == worker).count();
        let here = [of("0"), of("1"), of("2")];
        assert_eq!(
            *found.get_or_insert(here),
            here,
            "partition {number} has other transactions than partition 0"
        );
    }
    found.expect("three partitions")
}

/// One worker: a transaction over all partitions after the other, until something fails. Answers how many were acknowledged.
async fn work(broker: Broker, worker: usize) -> usize {
    let options = ProducerOptions {
        delivery_timeout: Duration::from_millis(500),
        ..ProducerOptions::transactional(format!("w{worker}"))
    };
    let Ok(mut producer) = Producer::new(&broker, options).await else {
        return 0;
    };
    let out = topic("out");
    for done in 0..30 {
        let round = async {
            producer.begin_transaction()?;
            for number in 0..3 {
                drop(
                    producer
                        .send(
                            ProducerRecord::new(&out)
                                .partition(number)
                                .value(format!("{worker}")),
                        )
                        .await?,
                );
            }
            producer.commit_transaction().await
        };
        if round.await.is_err() {
            return done;
        }
    }
    30
}

/// Cuts the power at the n-th passing of any kill point, storage's included, while it is not held.
struct PowerCut {
    left: AtomicUsize,
    held: AtomicBool,
    gone: AtomicBool,
}

impl PowerCut {
    fn after(passings: usize, disk: &SimDisk) -> (Arc<Self>, Faults) {
        let (held, gone) = (AtomicBool::new(false), AtomicBool::new(false));
        let cut = Arc::new(Self {
            left: AtomicUsize::new(passings),
            held,
            gone,
        });
        let (hook, disk) = (cut.clone(), disk.clone());
        let faults = Faults::none().on_point(Arc::new(move |_: &str| {
            if !hook.held.load(Ordering::SeqCst) && hook.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                hook.gone.store(true, Ordering::SeqCst);
                disk.crash(CrashMode::KeepRandomSubset);
            }
        }));
        (cut, faults)
    }
}

/// Three lives; in each the power goes while the broker starts or while the workers work.
async fn lose_power(seed: u64) {
    let mut machine = Machine::new(seed);
    let broker = machine.start().await;
    create(&broker, "out", 3).await;
    broker.shutdown().await.unwrap();
    drop(broker);
    let mut least = [0; 3];
    for life in 0..3 {
        let (cut, faults) = PowerCut::after((seed * 37 + life * 101) as usize % 240 + 1, &machine.disk);
        machine.faults = faults;
        let started = machine.try_start().await;
        if let (Ok(broker), false) = (started, cut.gone.load(Ordering::SeqCst)) {
            cut.held.store(true, Ordering::SeqCst);
            let before = rounds(&broker).await;
            cut.held.store(false, Ordering::SeqCst);
            let done = futures::future::join_all((0..3).map(|worker| work(broker.clone(), worker))).await;
            for worker in 0..3 {
                let (found, acknowledged) = (before[worker], least[worker]);
                assert!(
                    found >= acknowledged,
                    "worker {worker}: {acknowledged} acknowledged, {found} found"
                );
                least[worker] = found + done[worker];
            }
        }
        machine.disk.crash(CrashMode::LoseUnsynced);
    }
    machine.faults = Faults::none();
    let broker = machine.start().await;
    let found = rounds(&broker).await;
    for worker in 0..3 {
        // One more may have been decided without anybody being told.
        let (found, acknowledged) = (found[worker], least[worker]);
        assert!(
            found >= acknowledged,
            "worker {worker}: {acknowledged} acknowledged, {found} found"
        );
    }
}

#[test]
fn acknowledged_transactions_survive_power_loss_at_any_moment_whole() {
    for seed in 200..230 {
        simulate(lose_power(seed));
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let digest = || {
        let digest = Arc::new(AtomicUsize::new(0));
        let result = digest.clone();
        simulate(async move {
            let mut machine = Machine::new(300);
            let broker = machine.start().await;
            create(&broker, "out", 3).await;
            futures::future::join_all((0..3).map(|worker| work(broker.clone(), worker))).await;
            broker.shutdown().await.unwrap();
            result.store(machine.disk.digest() as usize, Ordering::SeqCst);
        });
        digest.load(Ordering::SeqCst)
    };
    assert_eq!(digest(), digest());
}
