"""aiokafka (a client in Python alone): produce, consume in a group, transactions. Arguments: HOST:PORT, what to try."""

import asyncio
import sys
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

BOOTSTRAP = sys.argv[1]


async def topic(partitions=3):
    name = f"smoke-{uuid.uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()
    return name


async def produce(name, values, **settings):
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **settings) as producer:
        await asyncio.gather(*[await producer.send(name, value.encode(), key=value.encode()) for value in values])


async def consume(name, count, group, **settings):
    found = []
    async with AIOKafkaConsumer(name, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest",
                                enable_auto_commit=False, **settings) as consumer:
        async with asyncio.timeout(40):
            while len(found) < count:
                for messages in (await consumer.getmany(timeout_ms=500)).values():
                    found.extend(message.value.decode() for message in messages)
        await consumer.commit()
    return sorted(found)


async def group():
    name, first, second = await topic(), [f"a{n:04}" for n in range(500)], [f"b{n:04}" for n in range(500)]
    await produce(name, first, enable_idempotence=True)
    assert await consume(name, 500, f"g-{name}") == first
    await produce(name, second, compression_type="gzip")
    assert await consume(name, 500, f"g-{name}") == second, "the group did not resume"


async def transactions():
    source, target = await topic(1), await topic(1)
    await produce(source, [f"{n:04}" for n in range(100)])
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=f"t-{target}") as producer:
        try:
            async with producer.transaction():
                for n in range(50):
                    await producer.send_and_wait(target, f"aborted{n}".encode())
                raise KeyError("abort")
        except KeyError:
            pass
        async with producer.transaction():
            for n in range(100):
                await producer.send(target, f"{n:04}".encode())
            await producer.send_offsets_to_transaction({TopicPartition(source, 0): 100}, f"g-{source}")
    found = await consume(target, 100, f"r-{target}", isolation_level="read_committed")
    assert found == [f"{n:04}" for n in range(100)], found[:5]
    async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=f"g-{source}") as consumer:
        assert await consumer.committed(TopicPartition(source, 0)) == 100


asyncio.run({"group": group, "transactions": transactions}[sys.argv[2]]())
