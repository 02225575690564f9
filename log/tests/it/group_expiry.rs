//! When committed offsets expire, and when they must not (KIP-211), on a paused clock.

use std::time::Duration;

use millpond_log::broker::{Committer, JoinGroup, OffsetAndMetadata, TxnOffsetCommit, TxnResult};
use millpond_log::clock::Clock;
use millpond_log::types::{Offset, TransactionVersion, TransactionalId};

use crate::groups::{by, commit, committed, join, leaving, readers, state, sync};
use crate::support::{Machine, create, partition, simulate};

#[test]
fn offsets_expire_a_week_after_the_group_became_empty_and_not_before() {
    simulate(async {
        let mut machine = Machine::new(57);
        machine.config.set("offsets.retention.minutes", "10080").unwrap();
        machine
            .config
            .set("offsets.retention.check.interval.ms", "3600000")
            .unwrap();
        // Two weeks pass: nobody looks for transactions every second meanwhile.
        machine
            .config
            .set(
                "transaction.abort.timed.out.transaction.cleanup.interval.ms",
                "3600000",
            )
            .unwrap();
        machine
            .config
            .set("group.max.session.timeout.ms", "2000000000")
            .unwrap();
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let request = JoinGroup {
            session_timeout_ms: 2_000_000_000,
            requires_known_member_id: false,
            ..join("", None)
        };
        let me = broker.join_group(readers(), request).await.unwrap();
        let request = sync(&me.member_id, me.generation, &[]);
        broker.sync_group(readers(), request).await.unwrap();
        commit(&broker, by(&me), 7).await.unwrap();
        let week = Duration::from_secs(7 * 24 * 3600);
        // The group consumes the topic: the commit's age does not count (KIP-211).
        machine.clock.sleep(week * 2).await;
        assert_eq!(committed(&broker).await, [7]);
        broker
            .leave_group(&readers(), leaving(&me.member_id))
            .await
            .unwrap();
        machine.clock.sleep(week - Duration::from_secs(7200)).await;
        assert_eq!(committed(&broker).await, [7]);

        // The moment since when it is empty survives a restart (KAFKA-8069); a clock set back expires nothing.
        broker.shutdown().await.unwrap();
        let broker = machine.start().await;
        machine.clock.jump_wall(-86_400_000);
        machine.clock.sleep(Duration::from_secs(4 * 3600)).await;
        assert_eq!(committed(&broker).await, [7]);
        machine.clock.jump_wall(86_400_000);
        machine.clock.sleep(Duration::from_secs(4 * 3600)).await;
        assert_eq!(committed(&broker).await, [0i64; 0]);
        assert_eq!(state(&broker).await, "gone");
        assert!(broker.list_groups(&[], &[]).await.is_empty());
        broker.shutdown().await.unwrap();
        let broker = machine.start().await;
        assert_eq!(state(&broker).await, "gone");
        broker.shutdown().await.unwrap();
    });
}

#[test]
fn offsets_of_open_transactions_and_of_embedded_jobs_do_not_expire() {
    simulate(async {
        let mut machine = Machine::new(58);
        machine.config.set("offsets.retention.minutes", "1").unwrap();
        machine
            .config
            .set("offsets.retention.check.interval.ms", "1000")
            .unwrap();
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let id = TransactionalId::new("copier");
        let producer = broker
            .init_producer_id(Some(id.clone()), Duration::from_secs(800), None)
            .await
            .unwrap();
        commit(&broker, Committer::outsider(), 1).await.unwrap();
        let txn = TxnOffsetCommit {
            transactional_id: id.clone(),
            group: readers(),
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            offsets: vec![(partition("orders", 0), OffsetAndMetadata::new(Offset::new(2)))],
        };
        let (version, nobody) = (TransactionVersion::V2, Committer::transaction());
        let written = broker.txn_offset_commit_by(version, nobody, txn, false).await;
        assert!(written.unwrap()[0].is_ok());
        // What an embedded job committed, which has no members, stays.
        let offsets = vec![(partition("orders", 0), OffsetAndMetadata::new(Offset::new(3)))];
        broker
            .offset_commit(&"embedded".into(), offsets.clone())
            .await
            .unwrap();
        machine.clock.sleep(Duration::from_secs(300)).await;
        assert_eq!(
            state(&broker).await,
            "Empty",
            "KAFKA-13636: nothing expires meanwhile"
        );
        let (id, epoch) = (producer.producer_id, producer.producer_epoch);
        broker
            .end_txn(&TransactionalId::new("copier"), id, epoch, TxnResult::Commit)
            .await
            .unwrap();
        // The commit's own time counts, and it is over.
        machine.clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(state(&broker).await, "gone");
        broker.shutdown().await.unwrap();
        let broker = machine.start().await;
        machine.clock.sleep(Duration::from_secs(300)).await;
        let kept = broker.offset_fetch(&"embedded".into(), None).await.unwrap();
        assert_eq!(kept, offsets);
        broker.shutdown().await.unwrap();
    });
}
