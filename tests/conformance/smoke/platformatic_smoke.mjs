// @platformatic/kafka: produce, consume in a group, transactions. Arguments: HOST:PORT, what to try.
import { randomUUID } from 'node:crypto'
import assert from 'node:assert'

// The library wants this of Node.js 22; everything else it uses is there before.
Promise.withResolvers ??= function () {
  const made = {}
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}
const { Admin, Consumer, FetchIsolationLevels, Producer, ProduceAcks, stringDeserializers, stringSerializers } = await import('@platformatic/kafka')

const [bootstrap, only] = process.argv.slice(2)
const client = { clientId: 'smoke', bootstrapBrokers: [bootstrap] }
const range = (prefix, count) => Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(4, '0')}`)

async function topic(partitions = 3) {
  const name = `smoke-${randomUUID()}`
  const admin = new Admin(client)
  await admin.createTopics({ topics: [name], partitions, replicas: 1 })
  await admin.close()
  return name
}

async function consume(topic, count, groupId, settings = {}) {
  const consumer = new Consumer({ ...client, groupId, deserializers: stringDeserializers, ...settings })
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false, maxWaitTime: 200 })
  const found = []
  const limit = setTimeout(() => stream.destroy(new Error(`${found.length} of ${count} in 60 s`)), 60_000)
  for await (const message of stream) {
    found.push(message.value)
    await message.commit()
    if (found.length >= count) break
  }
  clearTimeout(limit)
  await consumer.close(true)
  return found.sort()
}

async function produce(topic, values, settings = {}) {
  const producer = new Producer({ ...client, serializers: stringSerializers, ...settings })
  await producer.send({ messages: values.map(value => ({ topic, key: value, value })), acks: ProduceAcks.ALL })
  await producer.close()
}

const tries = {
  async group() {
    const name = await topic()
    await produce(name, range('a', 300), { idempotent: true })
    assert.deepEqual(await consume(name, 300, `g-${name}`), range('a', 300))
    await produce(name, range('b', 300), { compression: 'gzip' })
    assert.deepEqual(await consume(name, 300, `g-${name}`), range('b', 300))
  },
  async 'group-consumer'() {
    const name = await topic()
    await produce(name, range('a', 300))
    assert.deepEqual(await consume(name, 300, `g-${name}`, { groupProtocol: 'consumer' }), range('a', 300))
  },
  async transactions() {
    const target = await topic(1)
    const producer = new Producer({ ...client, serializers: stringSerializers, idempotent: true, transactionalId: `t-${target}` })
    const aborted = await producer.beginTransaction()
    await aborted.send({ messages: range('aborted', 50).map(value => ({ topic: target, value })) })
    await aborted.abort()
    const committed = await producer.beginTransaction()
    await committed.send({ messages: range('', 100).map(value => ({ topic: target, value })) })
    await committed.commit()
    await producer.close()
    const found = await consume(target, 100, `r-${target}`, { isolationLevel: FetchIsolationLevels.READ_COMMITTED })
    assert.deepEqual(found, range('', 100))
  }
}
await tries[only]()
process.exit(0)
