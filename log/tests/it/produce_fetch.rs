//! Producing and fetching through the handle and the clients.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use millpond_log::broker::{ErrorCode, ErrorKind, Isolation, NewTopic, OffsetSpec};
use millpond_log::client::{
    Admin, Consumer, ConsumerOptions, OffsetReset, Producer, ProducerOptions, ProducerRecord,
};
use millpond_log::clock::Clock;
use millpond_log::record::{BatchIter, Compression};
use millpond_log::types::Offset;

use crate::support::{
    LONG, Machine, batch, broker_at, committed_values, create, create_with, fetch, fetch_request, partition,
    produce, simulate, topic,
};

#[tokio::test]
async fn what_is_produced_is_fetched_byte_for_byte_after_the_offset() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    let orders = partition("orders", 0);
    let sent = batch(&["a", "b"], None, false);
    let ack = produce(&broker, None, &orders, sent.clone()).await.unwrap();
    assert_eq!((ack.base_offset, ack.log_append_time), (Offset::new(0), None));
    assert_eq!(
        produce(&broker, None, &orders, batch(&["c"], None, false))
            .await
            .unwrap()
            .base_offset,
        Offset::new(2)
    );
    let data = fetch(&broker, &orders, 0, Isolation::ReadUncommitted)
        .await
        .unwrap();
    assert_eq!(
        (data.high_watermark, data.last_stable_offset),
        (Offset::new(3), Offset::new(3))
    );
    let first = BatchIter::new(data.batches[0].clone()).next().unwrap().unwrap();
    // Below the checksum, the bytes are the producer's.
    assert_eq!(first.bytes()[17..], sent[17..]);
    // An offset inside a batch brings the whole batch.
    let data = fetch(&broker, &orders, 1, Isolation::ReadUncommitted)
        .await
        .unwrap();
    let first = BatchIter::new(data.batches[0].clone()).next().unwrap().unwrap();
    assert_eq!(first.base_offset(), Offset::new(0));
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn errors_are_told_per_partition() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create_with(
        &broker,
        NewTopic::new(topic("small"), 1).config("max.message.bytes", "100"),
    )
    .await;
    let small = partition("small", 0);
    let too_large = produce(&broker, None, &small, batch(&[&"x".repeat(200)], None, false))
        .await
        .unwrap_err();
    assert_eq!(
        (too_large.code(), too_large.kind()),
        (ErrorCode::MessageTooLarge, ErrorKind::Usage)
    );
    let mut damaged = batch(&["a"], None, false).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let damaged = produce(&broker, None, &small, damaged.into()).await.unwrap_err();
    assert_eq!(damaged.code(), ErrorCode::CorruptMessage);
    let unknown = produce(
        &broker,
        None,
        &partition("nothing", 0),
        batch(&["a"], None, false),
    )
    .await
    .unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::UnknownTopicOrPartition);
    let out = fetch(&broker, &small, 7, Isolation::ReadUncommitted)
        .await
        .unwrap_err();
    assert_eq!(out.code(), ErrorCode::OffsetOutOfRange);
    assert_eq!(
        fetch(&broker, &small, 0, Isolation::ReadUncommitted)
            .await
            .unwrap()
            .high_watermark,
        Offset::ZERO
    );
    broker.shutdown().await.unwrap();
}

#[test]
fn a_fetch_parks_until_a_record_comes_and_no_longer() {
    simulate(async {
        let mut machine = Machine::new(1);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let orders = partition("orders", 0);
        let started = machine.clock.monotonic();
        let parked = broker.fetch(fetch_request(&orders, 0, Isolation::ReadUncommitted, LONG));
        let write = async {
            machine.clock.sleep(Duration::from_secs(7)).await;
            produce(&broker, None, &orders, batch(&["late"], None, false))
                .await
                .unwrap();
        };
        let (response, ()) = futures::join!(parked, write);
        let waited = machine.clock.monotonic() - started;
        assert!(
            (Duration::from_secs(7)..Duration::from_secs(8)).contains(&waited),
            "{waited:?}"
        );
        assert_eq!(response.partitions[0].1.as_ref().unwrap().batches.len(), 1);
        let started = machine.clock.monotonic();
        let nothing = broker
            .fetch(fetch_request(&orders, 1, Isolation::ReadUncommitted, LONG))
            .await;
        assert_eq!((machine.clock.monotonic() - started).as_secs(), LONG.as_secs());
        assert!(nothing.partitions[0].1.as_ref().unwrap().batches.is_empty());
    });
}

#[test]
fn a_fetch_waits_for_min_bytes() {
    simulate(async {
        let mut machine = Machine::new(2);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let orders = partition("orders", 0);
        let one = batch(&["0123456789"], None, false);
        let mut request = fetch_request(&orders, 0, Isolation::ReadUncommitted, LONG);
        request.min_bytes = one.len() * 3;
        let write = async {
            for _ in 0..3 {
                machine.clock.sleep(Duration::from_secs(1)).await;
                produce(&broker, None, &orders, one.clone()).await.unwrap();
            }
        };
        let started = machine.clock.monotonic();
        let (response, ()) = futures::join!(broker.fetch(request), write);
        assert_eq!((machine.clock.monotonic() - started).as_secs(), 3);
        let bytes: usize = response.partitions[0]
            .1
            .as_ref()
            .unwrap()
            .batches
            .iter()
            .map(|run| run.len())
            .sum();
        assert_eq!(bytes, one.len() * 3);
    });
}

#[tokio::test]
async fn producer_and_consumer_pass_on_every_record_in_the_order_of_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let orders = Admin::new(&broker).create_topic("orders", 4).await.unwrap().name;
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let options = ProducerOptions {
            compression,
            batch_bytes: 2048,
            ..ProducerOptions::default()
        };
        let producer = Producer::new(&broker, options).await.unwrap();
        for number in 0..1_000 {
            let record = ProducerRecord::new(&orders)
                .key(format!("{}", number % 13))
                .value(format!("{number}"))
                .header("h", "v");
            drop(producer.send(record).await.unwrap());
        }
        producer.flush().await.unwrap();
        producer.close().await.unwrap();
    }
    let mut consumer = Consumer::new(
        &broker,
        ConsumerOptions {
            fetch_bytes: 4096,
            ..ConsumerOptions::default()
        },
    );
    consumer.assign_topic(&orders).await.unwrap();
    let mut last = std::collections::BTreeMap::new();
    for _ in 0..5_000 {
        let record = consumer.next().await.unwrap().unwrap().record;
        let number: i64 = std::str::from_utf8(record.value.as_deref().unwrap())
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(record.headers.len(), 1);
        let before = last.insert(record.key.unwrap(), number).unwrap_or(-1);
        // Each round starts again at zero, after the one before is complete.
        assert!(
            number > before || (number < 13 && before >= 987),
            "{before} then {number}"
        );
    }
    for (partition, first, end) in Admin::new(&broker).offsets(&orders).await.unwrap() {
        assert_eq!(first, Offset::ZERO);
        assert_eq!(consumer.position(&partition), Some(end));
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn senders_are_held_back_when_the_buffer_is_full_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let orders = create(&broker, "orders", 1).await;
    let options = ProducerOptions {
        buffer_bytes: 4096,
        linger: LONG,
        ..ProducerOptions::default()
    };
    let producer = Producer::new(&broker, options).await.unwrap();
    for number in 0..500 {
        let record = ProducerRecord::new(&orders).value(format!("{number:0100}"));
        drop(producer.send(record).await.unwrap());
    }
    producer.flush().await.unwrap();
    assert_eq!(committed_values(&broker, "orders").await.len(), 500);
    let huge = producer
        .send(ProducerRecord::new(&orders).value(vec![0; 5000]))
        .await
        .unwrap_err();
    assert_eq!(huge.code(), ErrorCode::MessageTooLarge);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_refused_batch_does_not_stop_those_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let small = create_with(
        &broker,
        NewTopic::new(topic("small"), 1).config("max.message.bytes", "500"),
    )
    .await;
    let producer = Producer::new(&broker, ProducerOptions::default()).await.unwrap();
    producer
        .send(ProducerRecord::new(&small).value("before"))
        .await
        .unwrap()
        .await
        .unwrap();
    let refused = producer
        .send(ProducerRecord::new(&small).value(vec![b'x'; 1000]))
        .await
        .unwrap()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::MessageTooLarge);
    let after = producer
        .send(ProducerRecord::new(&small).value("after"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(after.offset, Offset::new(1));
    broker.shutdown().await.unwrap();
}

#[test]
fn lingering_fills_a_batch() {
    simulate(async {
        let mut machine = Machine::new(3);
        let broker = machine.start().await;
        let orders = create(&broker, "orders", 1).await;
        let options = ProducerOptions {
            linger: Duration::from_millis(50),
            ..ProducerOptions::default()
        };
        let producer = Producer::new(&broker, options).await.unwrap();
        let started = machine.clock.monotonic();
        let mut deliveries = Vec::new();
        for _ in 0..10 {
            deliveries.push(
                producer
                    .send(ProducerRecord::new(&orders).value("x"))
                    .await
                    .unwrap(),
            );
            tokio::task::yield_now().await;
        }
        futures::future::try_join_all(deliveries).await.unwrap();
        assert!((machine.clock.monotonic() - started) >= Duration::from_millis(50));
        let data = fetch(&broker, &partition("orders", 0), 0, Isolation::ReadUncommitted)
            .await
            .unwrap();
        let batches = data.batches.into_iter().flat_map(BatchIter::new).count();
        assert_eq!(batches, 1);
    });
}

#[tokio::test]
async fn offsets_are_listed_by_place_and_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let orders = create(&broker, "orders", 1).await;
    let producer = Producer::new(&broker, ProducerOptions::default()).await.unwrap();
    // Recent, or retention would take them.
    let base = broker.clock().now_ms() - 10_000;
    for timestamp in [base + 1000, base + 3000, base + 2000] {
        let record = ProducerRecord::new(&orders).value("x").timestamp(timestamp);
        producer.send(record).await.unwrap().await.unwrap();
    }
    let orders = partition("orders", 0);
    let lookup = async |spec| {
        let listed = broker
            .list_offsets(vec![(orders.clone(), spec)], Isolation::ReadCommitted)
            .await;
        let listed = listed[0].as_ref().unwrap();
        (listed.offset.map(Offset::get), listed.timestamp)
    };
    assert_eq!(lookup(OffsetSpec::Earliest).await, (Some(0), None));
    assert_eq!(lookup(OffsetSpec::Latest).await, (Some(3), None));
    assert_eq!(lookup(OffsetSpec::LastStable).await, (Some(3), None));
    assert_eq!(
        lookup(OffsetSpec::Timestamp(base + 1500)).await,
        (Some(1), Some(base + 3000))
    );
    assert_eq!(
        lookup(OffsetSpec::MaxTimestamp).await,
        (Some(1), Some(base + 3000))
    );
    assert_eq!(lookup(OffsetSpec::Timestamp(base + 3001)).await, (None, None));
    let deleted = broker
        .delete_records(vec![(orders.clone(), Some(Offset::new(2)))])
        .await;
    assert_eq!(deleted[0].as_ref().unwrap().get(), 2);
    assert_eq!(lookup(OffsetSpec::Earliest).await, (Some(2), None));
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_consumer_seeks_and_resets_as_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let orders = create(&broker, "orders", 1).await;
    let producer = Producer::new(&broker, ProducerOptions::default()).await.unwrap();
    for number in 0..10 {
        producer
            .send(ProducerRecord::new(&orders).value(format!("{number}")))
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let orders = partition("orders", 0);
    let mut consumer = Consumer::new(&broker, ConsumerOptions::default());
    consumer.assign([orders.clone()]).await.unwrap();
    assert_eq!(consumer.recv().await.unwrap().record.offset, Offset::new(0));
    consumer.seek(&orders, Offset::new(7)).unwrap();
    assert_eq!(consumer.position(&orders), Some(Offset::new(7)));
    assert_eq!(consumer.recv().await.unwrap().record.offset, Offset::new(7));
    consumer.seek_to_beginning().await.unwrap();
    assert_eq!(consumer.recv().await.unwrap().record.offset, Offset::new(0));
    broker
        .delete_records(vec![(orders.clone(), Some(Offset::new(5)))])
        .await
        .remove(0)
        .unwrap();
    consumer.seek(&orders, Offset::new(2)).unwrap();
    assert_eq!(
        consumer.recv().await.unwrap().record.offset,
        Offset::new(5),
        "reset to the earliest record"
    );

    consumer.seek(&orders, Offset::new(50)).unwrap();
    assert_eq!(
        consumer.recv().await.unwrap().record.offset,
        Offset::new(5),
        "reset from beyond the end too"
    );
    let latest = ConsumerOptions {
        offset_reset: OffsetReset::Latest,
        ..ConsumerOptions::default()
    };
    let mut latest = Consumer::new(&broker, latest);
    latest.assign([orders.clone()]).await.unwrap();
    for lost in [2, 50] {
        latest.seek(&orders, Offset::new(lost)).unwrap();
        assert!(latest.recv().now_or_never().is_none(), "nothing is new");
        let record = ProducerRecord::new(&orders.topic).value("new");
        let sent = producer.send(record).await.unwrap();
        let sent = sent.await.unwrap().offset;
        assert_eq!(
            latest.recv().await.unwrap().record.offset,
            sent,
            "reset from {lost}"
        );
    }

    let strict = ConsumerOptions {
        offset_reset: OffsetReset::Error,
        ..ConsumerOptions::default()
    };
    let mut strict = Consumer::new(&broker, strict);
    let refused = strict.assign([orders.clone()]).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::OffsetOutOfRange);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_topic_may_ask_for_its_own_codec() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create_with(
        &broker,
        NewTopic::new(topic("packed"), 1).config("compression.type", "zstd"),
    )
    .await;
    let packed = partition("packed", 0);
    let value = "same ".repeat(100);
    produce(&broker, None, &packed, batch(&[&value, &value], None, false))
        .await
        .unwrap();
    let data = fetch(&broker, &packed, 0, Isolation::ReadUncommitted)
        .await
        .unwrap();
    let stored = BatchIter::new(data.batches[0].clone()).next().unwrap().unwrap();
    assert_eq!(stored.compression(), Compression::Zstd);
    assert_eq!(committed_values(&broker, "packed").await, [value.clone(), value]);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_compacted_topic_refuses_records_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let latest = NewTopic::new(topic("latest"), 1).config("cleanup.policy", "compact");
    let latest = create_with(&broker, latest).await;
    let producer = Producer::new(&broker, ProducerOptions::default()).await.unwrap();
    let keyless = producer
        .send(ProducerRecord::new(&latest).value("lost"))
        .await
        .unwrap();
    assert_eq!(keyless.await.unwrap_err().code(), ErrorCode::InvalidRecord);
    let keyed = ProducerRecord::new(&latest).key("k").value("kept");
    producer.send(keyed).await.unwrap().await.unwrap();
    assert_eq!(committed_values(&broker, "latest").await, ["kept"]);
    broker.shutdown().await.unwrap();
}
