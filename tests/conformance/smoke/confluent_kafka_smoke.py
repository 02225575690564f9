"""confluent-kafka (librdkafka from Python): produce, consume in a group of both kinds, transactions. Argument: HOST:PORT."""

import sys
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BOOTSTRAP = sys.argv[1]
ONLY = sys.argv[2]


def topic(partitions=3):
    name = f"smoke-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(30)
    return name


def produce(name, values, **settings):
    producer = Producer({"bootstrap.servers": BOOTSTRAP, **settings})
    errors = []
    for value in values:
        producer.produce(name, value.encode(), key=value.encode(), headers={"n": value.encode()},
                         on_delivery=lambda error, _: error and errors.append(error))
    assert producer.flush(30) == 0 and not errors, errors


def consume(name, count, group, **settings):
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, **settings})
    consumer.subscribe([name])
    found, end = [], time.monotonic() + 40
    while len(found) < count and time.monotonic() < end:
        message = consumer.poll(1)
        if message is None:
            continue
        assert message.error() is None, message.error()
        found.append(message.value().decode())
        assert dict(message.headers() or [("n", message.value())])["n"] == message.value()
    if found:
        consumer.commit(asynchronous=False)
    consumer.close()
    return sorted(found)


def group(protocol):
    name, first, second = topic(), [f"a{n:04}" for n in range(500)], [f"b{n:04}" for n in range(500)]
    produce(name, first, **{"enable.idempotence": True, "compression.type": "lz4"})
    assert consume(name, 500, f"g-{name}", **{"group.protocol": protocol}) == first
    produce(name, second, **{"compression.type": "gzip"})
    assert consume(name, 500, f"g-{name}", **{"group.protocol": protocol}) == second, "the group did not resume"


def transactions():
    source, target, name = topic(), topic(), f"t-{uuid.uuid4()}"
    produce(source, [f"{n:04}" for n in range(100)])
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    for n in range(50):
        producer.produce(target, f"aborted{n}".encode())
    producer.flush(30)
    producer.abort_transaction(30)
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([source])
    producer.begin_transaction()
    moved, end = 0, time.monotonic() + 40
    while moved < 100 and time.monotonic() < end:
        message = consumer.poll(1)
        if message is not None:
            assert message.error() is None, message.error()
            producer.produce(target, message.value())
            moved += 1
    assert moved == 100
    position = consumer.position(consumer.assignment())
    producer.send_offsets_to_transaction(position, consumer.consumer_group_metadata(), 30)
    producer.commit_transaction(30)
    committed = consumer.committed([TopicPartition(source, n) for n in range(3)], 30)
    assert sum(partition.offset for partition in committed if partition.offset > 0) == 100, committed
    consumer.close()
    found = consume(target, 100, f"r-{name}", **{"isolation.level": "read_committed"})
    assert found == [f"{n:04}" for n in range(100)], found[:5]
    again = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": name})
    again.init_transactions(30)
    try:
        producer.begin_transaction()
        producer.produce(target, b"zombie")
        producer.commit_transaction(30)
    except Exception as fenced:
        assert "fenced" in str(fenced).lower() or "invalid producer epoch" in str(fenced).lower(), fenced
    else:
        raise AssertionError("a fenced producer committed")


{"group-classic": lambda: group("classic"), "group-consumer": lambda: group("consumer"), "transactions": transactions}[ONLY]()
