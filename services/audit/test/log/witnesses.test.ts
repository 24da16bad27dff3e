import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import t, { test, type Test } from 'tap'
import { parseNote, parseVerifierKey, signerOf, verifiedSignatures } from '#common/transparency/notes.ts'
import { collectMetrics, takeMetrics } from '#common/telemetry/metrics.ts'
import { cosigner, witness } from '../../../witness/test/app.ts'
import { ORIGIN, succession, testLog } from '../../../witness/test/log.ts'
import { WitnessClient } from '../../log/witness-client.ts'
import { parseWitnesses, Witnesses, type SignedCheckpoint, type WitnessedLog } from '../../log/witnesses.ts'

t.setTimeout(600_000)

const key = parseVerifierKey(cosigner.vkey)
const silent = pino({ level: 'silent' })

/** The store of a log whose newest checkpoint a test sets. */
function store (log = testLog()) {
  let newest: SignedCheckpoint | undefined
  const cosigned = new Map<number, string[]>()
  const state = {
    log, successions: [] as string[], cosigned, since: new Date(), stored: Promise.withResolvers<void>()
  }
  const store: WitnessedLog = {
    newestCheckpoint: async () => newest,
    dateAfter: async (size) => newest && newest.size > size ? state.since : undefined,
    lastCosigned: async () => Math.max(0, ...cosigned.keys()),
    consistencyProof: async (old, size) =>
      (await state.log.proof(old, size)).map((line) => Buffer.from(line, 'base64')),
    async addCosignatures (size, lines) {
      cosigned.set(size, lines)
      if (newest?.size === size) newest.cosignatures.push(...lines)
      state.stored.resolve()
    },
    successions: async () => state.successions
  }
  return {
    state,
    store,
    async grow (size: number, signers = [log.signer]) {
      const { text, signatures } = parseNote(await state.log.note(size, signers))
      newest = { size, text, signatures: signatures.map(({ line }) => line), cosignatures: [] }
    }
  }
}

/** A witness that listens, and a client of it. */
async function connected (t: Test, signers: Parameters<typeof witness>[1], one = store()) {
  const { app } = await witness(t, signers)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const client = () => {
    const client = new WitnessClient({ url, keys: [key] }, one.store, silent)
    t.teardown(() => client.close())
    return client
  }
  return { ...one, url, app, client }
}

test('has the newest checkpoint cosigned, and stores the cosignature', async (t) => {
  const one = store()
  const { grow, state, client } = await connected(t, [one.state.log.signer], one)
  const first = client()
  t.equal(await first.submitNewest(), true, 'there is none')
  for (const size of [1, 300, 301]) {
    await grow(size)
    t.equal(await first.submitNewest(), true)
    const note = `${await state.log.note(size)}${state.cosigned.get(size)!.join('\n')}\n`
    t.equal(verifiedSignatures(parseNote(note), [key]).length, 1)
    t.equal(first.cosignedSize, size)
  }
  const before = state.cosigned.get(301)
  t.equal(await first.submitNewest(), true)
  t.equal(state.cosigned.get(301), before, 'nothing is sent twice')
})

test('replicas at the same time, and one that starts, follow the witness', async (t) => {
  const one = store()
  const { grow, state, client } = await connected(t, [one.state.log.signer], one)
  await grow(10)
  const replicas = [client(), client(), client()]
  t.strictSame(await Promise.all(replicas.map((replica) => replica.submitNewest())), [true, true, true])
  await grow(20)
  state.cosigned.clear()
  t.equal(await client().submitNewest(), true, 'it knows nothing of what is cosigned')
  t.ok(state.cosigned.has(20))
})

test('a log that was set back or rewritten is not cosigned, which a metric shows', async (t) => {
  collectMetrics(true)
  t.teardown(() => collectMetrics(false))
  const one = store()
  const { grow, state, client } = await connected(t, [one.state.log.signer], one)
  await grow(20)
  await client().submitNewest()
  state.cosigned.clear()
  await grow(10)
  t.equal(await client().submitNewest(), false, 'smaller')
  state.log = testLog({ signer: state.log.signer, fork: 5 })
  for (const size of [20, 30]) {
    await grow(size)
    await t.rejects(client().submitNewest(), { name: 'WitnessError' })
  }
  t.strictSame([...state.cosigned.keys()], [])
  // Twice from the client, and twice from the witness, which is in this process
  t.match(takeMetrics().filter(({ name }) => name === 'witness.inconsistent'), [{ values: [4] }])
})

test('hands over to new keys where the witness does not know them', async (t) => {
  const [first, second, third] = Array.from({ length: 3 }, () => signerOf(ORIGIN, randomBytes(32)))
  const one = store(testLog({ signer: first! }))
  const { grow, state, client } = await connected(t, [first!], one)
  await grow(10, [third!])
  await t.rejects(client().submitNewest(), { message: 'the witness answers 403' })
  state.successions = [succession(first!, second!.vkey), succession(second!, third!.vkey)]
  t.equal(await client().submitNewest(), true)
  state.successions = [succession(first!, signerOf(ORIGIN, randomBytes(32)).vkey).replace('— ', '— x')]
  await grow(20, [signerOf(ORIGIN, randomBytes(32))])
  await t.rejects(client().submitNewest(), { message: /to a key of the log/ })
})

test('stores no answer that is not a cosignature of the checkpoint by a known key', async (t) => {
  const one = store()
  await one.grow(10)
  const text = await one.state.log.textOf(10)
  const otherText = await one.state.log.textOf(9)
  const answers = [
    [200, ''], [200, 'no signature\n'], [200, `${cosigner.sign(otherText)}\n`],
    [200, `${signerOf(ORIGIN, randomBytes(32)).sign(text)}\n`], [200, `\n${cosigner.sign(text)}\n`],
    [200, `more\n\n${cosigner.sign(`${text}\nmore\n`)}\n`],
    [200, `${cosigner.sign(text)}`], [200, 'x'.repeat(20_000)],
    [409, 'many\n'], [409, '0\n'], [409, ''], [404, ''], [500, 'x'], [302, ''], [422, '']
  ] as const
  let next = 0
  const server = createServer((request, response) => {
    request.resume()
    const [status, body] = answers[next]!
    response.writeHead(status).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  for (; next < answers.length; next++) {
    const client = new WitnessClient({ url, keys: [key] }, one.store, silent)
    await t.rejects(client.submitNewest(), answers[next]!.join(' ').slice(0, 40))
    await client.close()
  }
  t.equal(one.state.cosigned.size, 0)
})

test('an unavailable witness is asked again, and a metric has the age of the log without it', async (t) => {
  collectMetrics(true)
  t.teardown(() => collectMetrics(false))
  const one = store()
  const { app } = await witness(t, [one.state.log.signer])
  const away = createServer().listen(0, '127.0.0.1')
  await once(away, 'listening')
  const { port } = away.address() as AddressInfo
  away.close()
  await once(away, 'close')
  await one.grow(10)
  one.state.since = new Date(Date.now() - 60_000)

  const lines: string[] = []
  const { promise: failed, resolve: fail } = Promise.withResolvers<void>()
  const logger = pino({}, {
    write (line: string) {
      lines.push(line)
      if (line.includes('is not witnessed')) fail()
    }
  })
  const [settings] = parseWitnesses(`${cosigner.vkey} http://127.0.0.1:${port}/`)
  const witnesses = new Witnesses({ witnesses: [settings!], log: one.store, logger, intervalMs: 20 })
  witnesses.start()
  await failed
  await app.listen({ host: '127.0.0.1', port })
  await one.state.stored.promise
  await witnesses.close()
  const ages = takeMetrics().filter(({ name }) => name === 'audit.unwitnessed_age')
  t.match(ages, [{ dimensions: { witness: cosigner.vkey.split('+')[0] }, values: [Number] }])
  t.notMatch(lines.join(''), one.state.log.signer.vkey)
})

test('the setting WITNESSES names keys and URLs', async (t) => {
  t.strictSame(parseWitnesses(''), [])
  const other = cosigner.vkey
  t.match(parseWitnesses(` ${other} https://witness.example/w1/\n${other} https://witness.example/w1 `),
    [{ url: 'https://witness.example/w1', keys: [{ isCosigner: true }, { isCosigner: true }] }])
  const log = signerOf(ORIGIN, randomBytes(32)).vkey
  for (const wrong of [other, `${other} witness.example`, `${log} https://a.example`, 'x https://a.example',
    `${other} https://user:secret@a.example`, `${other} ftp://a.example`]) {
    const refused = { name: 'SettingsError', message: /^Settings: WITNESSES must be pairs/ }
    t.throws(() => parseWitnesses(wrong), refused)
  }
})
