// kafkajs: produce, consume in a group, transactions. Arguments: HOST:PORT, what to try.
import { randomUUID } from 'node:crypto'
import assert from 'node:assert'
import kafkajs from 'kafkajs'

const { Kafka, logLevel, CompressionTypes } = kafkajs
const [bootstrap, only] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'smoke', brokers: [bootstrap], logLevel: logLevel.WARN })
const range = (prefix, count) => Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(4, '0')}`)

async function topic(numPartitions = 3) {
  const name = `smoke-${randomUUID()}`
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: name, numPartitions }], waitForLeaders: true })
  await admin.disconnect()
  return name
}

async function produce(topic, values, settings = {}, compression = CompressionTypes.None) {
  const producer = kafka.producer(settings)
  await producer.connect()
  await producer.send({ topic, compression, messages: values.map(value => ({ key: value, value, headers: { n: value } })) })
  await producer.disconnect()
}

async function consume(topic, count, groupId, readUncommitted = false) {
  const consumer = kafka.consumer({ groupId, readUncommitted })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const found = []
  await new Promise((done, failed) => {
    setTimeout(() => failed(new Error(`${found.length} of ${count} in 60 s`)), 60_000).unref()
    consumer.on(consumer.events.CRASH, ({ payload }) => failed(payload.error))
    consumer.run({
      eachMessage: async ({ message }) => {
        found.push(message.value.toString())
        if (found.length >= count) done()
      }
    })
  })
  await consumer.stop()
  await consumer.disconnect()
  return found.sort()
}

const tries = {
  async group() {
    const name = await topic()
    await produce(name, range('a', 500), { idempotent: true })
    assert.deepEqual(await consume(name, 500, `g-${name}`), range('a', 500))
    await produce(name, range('b', 500), {}, CompressionTypes.GZIP)
    assert.deepEqual(await consume(name, 500, `g-${name}`), range('b', 500))
  },
  async transactions() {
    const [source, target] = [await topic(1), await topic(1)]
    const producer = kafka.producer({ transactionalId: `t-${target}`, maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    const aborted = await producer.transaction()
    await aborted.send({ topic: target, messages: range('aborted', 50).map(value => ({ value })) })
    await aborted.abort()
    const committed = await producer.transaction()
    await committed.send({ topic: target, messages: range('', 100).map(value => ({ value })) })
    await committed.sendOffsets({ consumerGroupId: `g-${source}`, topics: [{ topic: source, partitions: [{ partition: 0, offset: '7' }] }] })
    await committed.commit()
    await producer.disconnect()
    assert.deepEqual(await consume(target, 100, `r-${target}`), range('', 100))
    const admin = kafka.admin()
    await admin.connect()
    const offsets = await admin.fetchOffsets({ groupId: `g-${source}`, topics: [source] })
    await admin.disconnect()
    assert.equal(offsets[0].partitions[0].offset, '7')
  }
}
await tries[only]()
process.exit(0)
