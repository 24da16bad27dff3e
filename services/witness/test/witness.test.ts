import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import t, { test } from 'tap'
import {
  cosignerOf, parseNote, parseVerifierKey, signerOf, verifiedSignatures
} from '#common/transparency/notes.ts'
import { EMPTY_ROOT } from '#common/transparency/tree.ts'
import { FolderStore } from '../stores/folder.ts'
import { Witness } from '../witness.ts'
import { cosigner, NAME, seed, witness } from './app.ts'
import { ORIGIN, succession, testLog } from './log.ts'

t.setTimeout(600_000)

const sizeConflict = (size: number) =>
  ({ statusCode: 409, headers: { 'content-type': 'text/x.tlog.size' }, body: `${size}\n` })
const key = parseVerifierKey(cosigner.vkey)

test('cosigns each checkpoint that extends the one before', async (t) => {
  const log = testLog()
  const { add } = await witness(t, [log.signer])
  for (const [old, size] of [[0, 1], [1, 1], [1, 256], [256, 777], [777, 1_000]] as const) {
    const began = Math.floor(Date.now() / 1_000)
    const { statusCode, headers, body } = await add(await log.submission(old, size))
    t.equal(statusCode, 200)
    t.match(headers['content-type'], 'text/plain')
    const [signature, ...others] = verifiedSignatures(parseNote(`${await log.note(size)}${body}`), [key])
    t.equal(others.length, 0)
    t.ok(signature!.seconds! >= began && signature!.seconds! <= Date.now() / 1_000)
  }
})

test('answers an old size that is not its own with its own', async (t) => {
  const log = testLog()
  const { add } = await witness(t, [log.signer])
  t.match(await add(await log.submission(5, 10)), sizeConflict(0))
  t.equal((await add(await log.submission(0, 10))).statusCode, 200)
  for (const [old, size] of [[0, 10], [0, 20], [5, 20], [11, 20], [5, 7]] as const) {
    t.match(await add(await log.submission(old, size)), sizeConflict(10))
  }
  t.equal((await add(await log.submission(10, 20))).statusCode, 200)
})

test('begins anew only with a tree of the first size, and says so', async (t) => {
  const log = testLog()
  const STORE_DIR = t.testdir()
  const settings = { STORE_DIR, FIRST_SIZE: '100' }
  const first = await witness(t, [log.signer], { settings })
  t.match(await first.add(await log.submission(0, 101)), { statusCode: 404, body: /NOTHING_STORED/ })
  t.equal((await first.add(await log.submission(0, 100))).statusCode, 200)
  t.equal((await first.add(await log.submission(100, 1_000))).statusCode, 200, 'later ones have any size')
  t.match(first.logs(), '"msg":"nothing is stored of this log, accepting its first checkpoint"')
  await first.app.close()

  const restarted = await witness(t, [log.signer], { settings })
  t.equal((await restarted.add(await log.submission(1_000, 1_000))).statusCode, 200)
  t.notMatch(restarted.logs(), 'nothing is stored')
  await restarted.app.close()

  rmSync(STORE_DIR, { recursive: true })
  const emptied = await witness(t, [log.signer], { settings })
  t.match(await emptied.add(await log.submission(1_000, 1_000)), sizeConflict(0))
  t.match(await emptied.add(await log.submission(0, 1_000)), { statusCode: 404, body: /NOTHING_STORED/ })
  t.match(emptied.logs(), '"msg":"nothing is stored of this log, whose tree is larger than FIRST_SIZE"')
  await emptied.app.close()
  const allowed = await witness(t, [log.signer], { settings: { STORE_DIR, FIRST_SIZE: '1000' } })
  t.equal((await allowed.add(await log.submission(0, 1_000))).statusCode, 200)
})

test('refuses another tree, of the same size or larger, and logs it', async (t) => {
  const log = testLog()
  const fork = testLog({ signer: log.signer, fork: 5 })
  const { add, logs } = await witness(t, [log.signer])
  await add(await log.submission(0, 10))
  t.match(await add(await fork.submission(10, 10)), sizeConflict(10))
  t.match(await add(await fork.submission(10, 20)), { statusCode: 422 })
  t.match(logs(), 'the log does not extend its tree')
  const body = await log.submission(10, 20)
  const hash = randomBytes(32).toString('base64')
  for (const wrong of [
    body.replace(/^[^ \n]+=$/m, hash),
    body.replace(/^[^ \n]+=\n/m, ''),
    body.replace('\n', `\n${hash}\n`),
    (await log.submission(10, 10)).replace('\n', `\n${hash}\n`)
  ]) t.match(await add(wrong), { statusCode: 422 })
  t.equal((await add(body)).statusCode, 200)
})

test('refuses unknown logs and untrusted signatures', async (t) => {
  const log = testLog()
  const { add } = await witness(t, [log.signer])
  const origin = 'example.org/other'
  const other = testLog({ origin, signer: signerOf(origin, randomBytes(32)) })
  t.match(await add(await other.submission(0, 10)), { statusCode: 404 })
  const stranger = signerOf(ORIGIN, randomBytes(32))
  t.match(await add(await log.submission(0, 10, [stranger])), { statusCode: 403 })
  const signed = await log.submission(0, 10)
  t.match(await add(signed.replace(/\n10\n/, '\n9\n')), { statusCode: 403 }, 'the signature of another text')
  t.match(await add(await log.submission(0, 10, [cosigner])), { statusCode: 403 })
  const { statusCode } = await add(await log.submission(0, 10, [stranger, log.signer, cosigner]))
  t.equal(statusCode, 200, 'signatures of unknown keys are ignored')
})

test('refuses malformed bodies, and shows nothing of them', async (t) => {
  const log = testLog()
  const { add } = await witness(t, [log.signer])
  const good = await log.submission(3, 10)
  const hash = `${randomBytes(32).toString('base64')}\n`
  const bodies = {
    empty: undefined,
    'no old size': good.replace('old 3\n', ''),
    'old size with a zero': good.replace('old 3', 'old 03'),
    'negative old size': good.replace('old 3', 'old -3'),
    'no old size, but its word': good.replace('old 3', 'old '),
    'old size above the size': good.replace('old 3', 'old 11'),
    'no empty line': good.replace('\n\n', '\n'),
    '64 hashes': good.replace('old 3\n', `old 3\n${hash.repeat(64)}`),
    'a short hash': good.replace('old 3\n', 'old 3\nAAAA\n'),
    'not base64': good.replace('old 3\n', `old 3\n${'*'.repeat(43)}=\n`),
    'CR LF': good.replaceAll('\n', '\r\n'),
    'no newline at the end': good.slice(0, -1),
    'no signatures': good.slice(0, good.indexOf('—')),
    JSON: '{"old":3}',
    'not UTF-8': Buffer.concat([Buffer.from(good), Buffer.of(0xff)])
  }
  for (const [name, body] of Object.entries(bodies)) {
    const response = await add(body)
    t.match(response, { statusCode: 400 }, name)
    t.notMatch(response.body, /\*\*|"old"|AAAA/)
  }
  t.match(await add(good.replace('old 3\n', `old 3\n${hash.repeat(400)}`)), { statusCode: 413 })
  t.match(await add(good, { 'content-encoding': 'gzip' }), { statusCode: 415 })
})

test('lists its keys, and never its seed', async (t) => {
  const log = testLog()
  const { app, add, logs } = await witness(t, [log.signer])
  for (const path of ['/', '/keys']) {
    const { statusCode, body } = await app.inject(path)
    t.equal(statusCode, 200)
    t.equal(body, `${cosigner.vkey}\n`)
  }
  t.match(await add(await log.submission(0, 1)), { statusCode: 200 })
  t.notMatch(logs(), seed.toString('base64url'))
})

test('cosigns with every valid version of its key', async (t) => {
  const log = testLog()
  const cosigners = [cosigner, cosignerOf(NAME, randomBytes(32))]
  const store = new FolderStore(t.testdir())
  const logs = [parseVerifierKey(log.signer.vkey)]
  const logger = pino({ level: 'silent' })
  const one = new Witness({ store, logs, firstSize: 10, cosigners: () => cosigners, log: logger })
  t.strictSame(one.vkeys, cosigners.map(({ vkey }) => vkey))
  const note = parseNote(`${await log.note(10)}${await one.addCheckpoint(await log.submission(0, 10))}`)
  t.equal(verifiedSignatures(note, one.vkeys.map(parseVerifierKey)).length, 2)
  cosigners.length = 0
  await t.rejects(one.addCheckpoint(await log.submission(10, 20)), { code: 'KEYS_UNAVAILABLE' })
  t.equal((await store.read(ORIGIN))!.state.size, 10, 'nothing is stored that cannot be cosigned')
})

test('a trusted key hands over to the next, and the oldest of more than three is not trusted', async (t) => {
  const keys = Array.from({ length: 5 }, () => signerOf(ORIGIN, randomBytes(32)))
  const [first, second, third, fourth, fifth] = keys as [typeof keys[0], ...typeof keys]
  const log = testLog({ signer: first! })
  const dir = t.testdir()
  const { addKey, add } = await witness(t, [first!], { settings: { STORE_DIR: dir } })
  t.match(await add(await log.submission(0, 1, [second!])), { statusCode: 403 })
  const stranger = signerOf(ORIGIN, randomBytes(32))
  t.match(await addKey(succession(stranger, second!.vkey)), { statusCode: 403 })
  t.match(await addKey(succession(first!, second!.vkey)),
    { statusCode: 200, body: `${first!.vkey}\n${second!.vkey}\n` })
  t.match(await add(await log.submission(0, 1, [second!])), { statusCode: 200 })
  t.match(await addKey(succession(second!, third!.vkey)), { statusCode: 200 })
  t.match(await addKey(succession(third!, fourth!.vkey)), { statusCode: 200 })

  t.comment('after a restart too')
  const again = await witness(t, [first!], { settings: { STORE_DIR: dir } })
  t.match(await again.add(await log.submission(1, 2, [first!])), { statusCode: 403 })
  t.match(await again.addKey(succession(first!, fifth!.vkey)), { statusCode: 403 })
  t.match(await again.addKey(succession(first!, second!.vkey)), { statusCode: 200 }, 'known: nothing changes')
  t.match(await again.add(await log.submission(1, 2, [first!])), { statusCode: 403 })
  t.match(await again.add(await log.submission(1, 2, [second!, fourth!])), { statusCode: 200 })
})

test('refuses notes that hand over to another log, to a witness or to nothing', async (t) => {
  const log = testLog()
  const { addKey } = await witness(t, [log.signer])
  const other = signerOf('example.org/other', randomBytes(32))
  t.match(await addKey(succession(log.signer, other.vkey)), { statusCode: 400 })
  t.match(await addKey(succession(log.signer, cosignerOf(ORIGIN, seed).vkey)), { statusCode: 400 })
  t.match(await addKey(succession(log.signer, 'no key')), { statusCode: 400 })
  t.match(await addKey(succession(other, other.vkey, 'example.org/other')), { statusCode: 404 })
  t.match(await addKey(await log.note(1)), { statusCode: 400 }, 'a checkpoint is no succession')
  t.match(await addKey(), { statusCode: 400 })
})

test('a checkpoint that is kept for a size stays, even if the state is set back', async (t) => {
  const log = testLog()
  const fork = testLog({ signer: log.signer, fork: 5 })
  const dir = t.testdir()
  const store = new FolderStore(dir)
  const first = await witness(t, [log.signer], { store, settings: { STORE_DIR: dir } })
  await first.add(await log.submission(0, 10))
  const back = (await store.read(ORIGIN))!
  await first.add(await log.submission(10, 20))
  const { version } = (await store.read(ORIGIN))!
  t.ok(await store.replace(back.state, version))
  const second = await witness(t, [log.signer], { store, settings: { STORE_DIR: dir } })
  t.match(await second.add(await fork.submission(10, 20)), { statusCode: 422 })
  const empty = { size: 0, root: EMPTY_ROOT.toString('base64'), checkpoint: '' }
  t.ok(await store.replace({ ...back.state, ...empty }, (await store.read(ORIGIN))!.version))
  t.match(await second.add(await fork.submission(0, 20)), { statusCode: 500 }, 'its fork is not cosigned')
  t.match(second.logs(), 'another checkpoint of this size')
  const [folder] = readdirSync(join(dir, 'checkpoints')) as [string]
  t.strictSame(readdirSync(join(dir, 'checkpoints', folder)), ['0000000000000010', '0000000000000020'])
})

test('limits the requests of an address, and refuses those that are not allowed', async (t) => {
  const log = testLog()
  const { add, app } = await witness(t, [log.signer], { settings: { RATE_LIMIT: '2' } })
  for (const statusCode of [409, 409, 429]) t.match(await add(await log.submission(1, 2)), { statusCode })
  t.equal((await app.inject('/health/live')).statusCode, 200)
  const settings = { ALLOWED_CALLERS: '10.0.0.0/8' }
  const { add: refused } = await witness(t, [log.signer], { settings })
  t.match(await refused(await log.submission(0, 1)), { statusCode: 403 })
  t.match(await add(await log.submission(1, 2)), { statusCode: 429, headers: { 'retry-after': /^\d+$/ } })
})

test('of requests at the same time one is cosigned', async (t) => {
  const log = testLog()
  const fork = testLog({ signer: log.signer, fork: 5 })
  const dir = t.testdir()
  const settings = { STORE_DIR: dir }
  const apps = [await witness(t, [log.signer], { settings }), await witness(t, [log.signer], { settings })]
  const bodies = await Promise.all([log, fork, log, fork].map((one, i) => one.submission(0, 20 + i)))
  const responses = await Promise.all(bodies.map((body, i) => apps[i % 2]!.add(body)))
  t.strictSame(responses.map(({ statusCode }) => statusCode).toSorted(), [200, 409, 409, 409])
})
