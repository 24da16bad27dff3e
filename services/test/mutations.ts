// npm run test:mutations:services: breaks one statement at a time, and expects a unit test to fail.
// MUTATIONS=<words>,<words> runs the mutations of the files or sentences that contain one of these.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'

const ROOT = join(import.meta.dirname, '../..')
const TIMEOUT_SECONDS = 60

interface Mutation {
  /** The file to change, below services/. */
  file: string
  /** Occurs exactly once in the file. */
  from: string
  to: string
  /** What is no longer true after the change. */
  sentence: string
  /** The unit test file that must fail, below services/. */
  test: string
}

/** The mutations of one file. */
function of (file: string, test: string, changes: Array<[sentence: string, from: string, to: string]>) {
  return changes.map(([sentence, from, to]): Mutation => ({ file, from, to, sentence, test }))
}

const mutations = [
  ...of('patient/audited.ts', 'patient/test/audited.test.ts', [
    ['every route says what it audits', '!handlers.has(handler)', 'false'],
    ['a read waits for its record',
      'await recorder.recordDisclosure({ criteria, disclosed: disclosed(found) })',
      'recorder.recordDisclosure({ criteria, disclosed: disclosed(found) }).catch(() => {})'],
    ['the record of a read names what is disclosed', 'disclosed: disclosed(found)', 'disclosed: []'],
    ['a read that finds nothing is not a failure', 'if (isNotFound(error))', 'if (false)'],
    ['the failure of a read is recorded',
      'recorder.recordFailure({ criteria, disclosed: [] }, error)', 'undefined'],
    ['a write waits for its record',
      'const attempts = await recordAttempts(recorders, { attemptOf })',
      'const attempts = recorders.map(() => randomUUIDv7()); recordAttempts(recorders, {}).catch(() => {})'],
    ['the failure of a write is recorded',
      'recorder.recordFailure(content, error)', 'undefined'],
    ['the failure of a write names its attempt',
      'recordFailure(content, error)', 'recordFailure({}, error)'],
    ['a write that continues is no failure yet',
      'error instanceof OutOfTime && acting?.', 'undefined && acting?.'],
    ['a late write that fails is in doubt', '      doubt(error)\n', '']
  ]),
  ...of('patient/recorder.ts', 'patient/test/audited.test.ts', [
    ['the record of a failure says so', "...content, outcome: 'failure'", '...content'],
    ['a record that may be stored late has a failure', 'error instanceof OutOfTime && !error.cause', 'true'],
    ['a failure that cannot be recorded is sent later',
      'this.#parts.failures.add(id, outcome, this.#request, () => this.#end())', ''],
    ['a refusal that cannot be recorded is not disclosed',
      'error instanceof ClaimLost || isRefusal(error)', 'false'],
    ['a write that fails after its response is recorded',
      '() => this.#add(randomUUIDv7(), this.#failure(content))', '() => {}'],
    ['a failure in doubt says so', '...(replica && { replica })', ''],
    ['an attempt in doubt stays open',
      'this.#parts.heartbeat.keep(recorder.#attempt!)', 'recorder.#attempt'],
    ['an attempt in doubt ends', 'recorder.#parts.heartbeat.end(recorder.#doubtful!)', '{}']
  ]),
  ...of('patient/audited.ts', 'patient/test/idempotency.test.ts', [
    ['a handler runs again after its claim is lost',
      'if (!(error instanceof ClaimLost)) throw error', 'throw error']
  ]),

  ...of('patient/unrecorded-failures.ts', 'patient/test/unrecorded-failures.test.ts', [
    ['the failures that wait are limited', 'this.#waiting.length >= MAX_WAITING', 'false'],
    ['failures are sent', 'this.#sending ??= runInOperations([], () => this.#send())', ''],
    ['a failure may have been sent before', 'SEND_MS, true)', 'SEND_MS)'],
    ['a failure is sent once', 'this.#waiting.shift()!.stored()\n        attempt = 0', 'break'],
    ['a refused failure does not delay the others', 'this.#waiting.push(this.#waiting.shift()!)', ''],
    ['closing ends the wait', 'this.#closing.abort()', ''],
    ['closing waits for writes that continue', 'Promise.all(this.#pending).then', 'Promise.resolve().then'],
    ['a failure names its caller', "['x-audit-actor', ", '[']
  ]),

  ...of('audit/register.ts', 'audit/test/register.test.ts', [
    ['an id that waits has one content', 'if (!hasSameContent(pending.record, record))', 'if (false)'],
    ['an id that is stored has one content', 'if (hasSameContent(earlier, record))', 'if (true)'],
    ['a record that is stored is not stored again', 'if (!earlier) return true', 'return true'],
    ['a block under a known id is checked', 'return await this.#isStored(block)', 'return true'],
    ['transient errors are retried', '!isTransient(error.cause)', 'isTransient(error.cause)']
  ]),
  ...of('audit/chain.ts', 'audit/test/register.test.ts', [
    ['each record of a block has a number', 'seq: this.nextSeq + i', 'seq: this.nextSeq'],
    ['a chain has no gap and no number twice', 'nextSeq: firstSeq + records.length', 'nextSeq: firstSeq + 1']
  ]),
  ...of('audit/chain.ts', 'audit/test/routes.test.ts', [
    ['a block is in the shard of its chain', '_shardKey: chain, chain,', "_shardKey: 'x', chain,"]
  ]),
  ...of('audit/register.ts', 'audit/test/queue.test.ts', [
    ['closing stores the queue', 'await this.#storing', '']
  ]),
  ...of('audit/register.ts', 'audit/test/routes.test.ts', [
    ['a first attempt needs no search', 'id !== undefined && !isFirst', 'id !== undefined'],
    ['a repeat is searched for', 'id !== undefined && !isFirst', 'false']
  ]),
  ...of('audit/queue.ts', 'audit/test/register.test.ts', [
    ['a block has at most 100 records', 'BLOCK_RECORDS = 100', 'BLOCK_RECORDS = 1000'],
    ['a block has at most 1 MiB', 'bytes + entry.bytes > BLOCK_BYTES', 'false']
  ]),
  ...of('audit/queue.ts', 'audit/test/queue.test.ts', [
    ['the records that wait are limited', 'this.#waiting.length >= QUEUE_RECORDS', 'false'],
    ['their bytes are limited', 'this.#bytes + bytes > QUEUE_BYTES', 'false'],
    ['a record of a block makes space for another', 'this.#bytes -= bytes', '']
  ]),

  ...of('common/secrets/secrets.ts', 'common/test/secrets.test.ts', [
    ['an expired version is not valid', '!expiresOn || expiresOn.getTime() > this.#clock.date()', 'true'],
    ['a version is not sent before it is active', '!notBefore || notBefore.getTime() <= now', 'true'],
    ['a version that is not active yet is better than none', '<= now) ?? versions[0]', '<= now)'],
    ['refreshes start a second apart', 'MIN_INTERVAL_MS = 1_000', 'MIN_INTERVAL_MS = 0'],
    ['a refresh that has begun is not for later callers', 'this.#next = undefined', ''],
    ['a failed refresh is repeated soon', 'this.#failed ? Math.min(wait, RETRY_MS) : wait', 'wait'],
    ['a secret is refreshed within its interval', '0.75 + Math.random()', '1.25 + Math.random()'],
    ['a start waits at most 5 s for the next attempt',
      'backoff = Math.min(', 'backoff = Math.max('],
    ['listeners hear of changes', 'for (const listener of this.#listeners) listener()', ''],
    ['an old secret is a warning', 'days < rotationDays', 'days >= 0']
  ]),
  ...of('common/secrets/secrets.ts', 'common/test/host-key.test.ts', [
    ['the callers who wait are limited', 'this.#waiting === MAX_WAITING', 'false'],
    ['a caller who waited makes space for another', 'this.#waiting--', '']
  ]),

  ...of('common/guard/host-key.ts', 'common/test/host-key.test.ts', [
    ['a request without the key is refused', 'if (isValid) return done()', 'return done()'],
    ['every valid version is accepted',
      'timingSafeEqual(digest, sent) || isIncluded', 'timingSafeEqual(digest, sent)'],
    ['an unknown key may be a newer version', 'return isIncluded || undefined', 'return isIncluded'],
    ['refused calls are counted', "app.refusals.count('host-key', request)", '']
  ]),

  ...of('common/guard/allow-list.ts', 'common/test/allow-list.test.ts', [
    ['callers that are not allowed are refused', 'includes(allowed, address) &&', 'true &&'],
    ['no connection bypasses the ingress', ' && isBehindProxy === isForwarded', ''],
    ['a header counts only with a proxy',
      'isForwarded && includes(proxies, peer)', 'includes(proxies, peer)'],
    ['only proxies are believed', 'isForwarded && includes(proxies, peer)', 'isForwarded'],
    ['the last entry is the caller', '.at(-1)!', '.at(0)!'],
    ['a mapped address is an IPv4 address', "address.replace(/^::ffff:(?=\\d+\\.)/i, '')", 'address']
  ]),
  ...of('common/guard/allow-list.ts', 'common/test/refusals.test.ts', [
    ['refused calls are counted', "app.refusals.count('caller-address', request)", '']
  ]),

  ...of('patient/idempotency.ts', 'patient/test/idempotency.test.ts', [
    ['a key has 1 to 255 characters', '{1,255}', '{0,256}'],
    ['a key is of one subscription', "[request.headers['x-audit-actor'], path, sent]", '[path, sent]'],
    ['a key is of one path',
      "[request.headers['x-audit-actor'], path, sent]", "[request.headers['x-audit-actor'], sent]"],
    ['the order of properties does not matter', 'stringify(request.body)', 'JSON.stringify(request.body)'],
    ['a key is of one body', 'claim.body === body', 'true'],
    ['a repeat does not create again', 'if (claim.done) return created', ''],
    ['a repeat leaves what is stored',
      'await insert(created, true, repeated)', 'await insert(created, false, repeated)'],
    ['a creation that is refused leaves no claim',
      '=== 404) await claims.release(claim)', '=== 405) await claims.release(claim)'],
    ['a claim is finished', 'claims.finish(claim), ', 'Promise.resolve(), '],
    ['a repeat is recorded as one', 'attemptOf: claim.audit', 'attemptOf: undefined'],
    ['one request has the claim', 'if (!claim) throw new ClaimLost()', ''],
    ['a repeat completes what was abandoned', 'current.done || isAbandoned(current)', 'current.done'],
    ['a response says when to try again', 'Math.ceil(IN_PROGRESS_MS / 1_000)', '1']
  ]),
  ...of('patient/repositories/claims.ts', 'patient/test/idempotency.test.ts', [
    ['a claim expires', 'expires: { $gt: new Date() } ', ''],
    ['an expired claim is replaced', 'keyOf(claim), expires: { $lte: now }', 'keyOf(claim), expires: null'],
    ['a process that has ended abandons its claims', "code === 'ESRCH'", "code === 'EPERM'"]
  ]),
  ...of('patient/repositories/claims.ts', 'patient/test/documents.test.ts', [
    ['a claim whose reply is lost is kept', '?.audit === claim.audit', '=== claim']
  ]),

  ...of('patient/repositories/documents.ts', 'patient/test/documents.test.ts', [
    ['a change whose reply is lost is not repeated', 'current._audit === audit', 'false'],
    ['a change is of one version',
      'const filter = { _id, _shardKey, _audit } as Filter<T>\n    const { matchedCount }',
      'void _audit; const filter = { _id, _shardKey } as Filter<T>\n    const { matchedCount }'],
    ['a deletion whose reply is lost is a success', 'if (!current && sent) return', '']
  ]),
  ...of('patient/repositories/documents.ts', 'patient/test/idempotency.test.ts', [
    ['deleted documents are not found', 'const live = { _deleted: null }', 'const live = {}']
  ]),
  ...of('patient/repositories/documents.ts', 'patient/test/patients.test.ts', [
    ['a document that exists is another refusal',
      "precondition.ifNoneMatch === '*' ? 'exists' : 'stale'", "'stale'"]
  ]),
  ...of('patient/repositories/documents.ts', 'patient/test/pages.test.ts', [
    ['a page has at most about 4 MiB', 'bytes + document.length > PAGE_BYTES', 'false'],
    ['a page has at most as many documents as asked for', 'documents.length + 1 === wanted ||', ''],
    ['a descending sort continues downwards', "direction === 1 ? '$gt' : '$lt'", "'$gt'"],
    ['documents with one value have an order by their ids', 'value, _id: { [beyond]:', 'value, _id: { $ne:']
  ]),

  ...of('patient/routes/pages.ts', 'patient/test/pages.test.ts', [
    ['a cursor is of one subscription', '[actor ?? null, path, sort, criteria]', '[path, sort, criteria]'],
    ['a cursor is of one path', '[actor ?? null, path, sort, criteria]', '[actor ?? null, sort, criteria]'],
    ['a cursor is of one sort', '[actor ?? null, path, sort, criteria]', '[actor ?? null, path, criteria]'],
    ['a cursor is of one set of criteria',
      '[actor ?? null, path, sort, criteria]', '[actor ?? null, path, sort]'],
    ['a cursor keeps dates', 'date ? new Date(value as string) : value', 'value'],
    ['the last page has no next', 'if (more) linkNextPage', 'linkNextPage']
  ]),
  ...of('patient/data-key.ts', 'patient/test/data-key.test.ts', [
    ['each purpose has its own key', "deriveKey(secret, 'idempotency')", "deriveKey(secret, 'cursor')"]
  ]),
  ...of('common/secrets/sealing.ts', 'patient/test/data-key.test.ts', [
    ['a cursor has one encoding', ' || !isCanonical', ''],
    ['the newest key seals', 'currentKey(secret).seal(text, context)',
      'secret.validVersions().at(-1)!.value.seal(text, context)']
  ]),

  ...of('common/http/preconditions.ts', 'common/test/preconditions.test.ts', [
    ['If-Match names the versions', 'tags.includes(version)', 'tags.length > 0'],
    ['If-Match is a condition', '!matches(ifMatch, version)', 'false'],
    ['If-None-Match is a condition', '!matches(ifNoneMatch, version)', 'true'],
    ['If-Match compares strongly', '!STRONG_TAGS.test(ifMatch)', '!ANY_TAGS.test(ifMatch)'],
    ['If-None-Match compares weakly', '!ANY_TAGS.test(ifNoneMatch)', '!STRONG_TAGS.test(ifNoneMatch)'],
    ['* is any version', "if (header?.trim() === '*') return '*'", '']
  ])
]

/** Runs a test file of a copy until a test fails, and returns its output, or nothing where all pass. */
async function failureOf (test: string, root: string) {
  const child = spawn(process.execPath, [join(root, 'services', test)], {
    cwd: root,
    env: { ...process.env, TAP_BAIL: '1', TAP_TIMEOUT: String(TIMEOUT_SECONDS), MONGODB_URI: undefined },
    stdio: ['ignore', 'pipe', 'ignore']
  })
  // A mutation may leave a loop without end
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_SECONDS * 1_000)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => { output += text })
  const [code, signal] = await once(child, 'close')
  clearTimeout(timer)
  if (signal) return `${output}\nnot ok - ended by ${signal}`
  if (code !== 0) return output
}

/** A copy of the services, which is removed with the test. */
async function copy (t: Test) {
  const root = await mkdtemp(join(tmpdir(), 'mutation-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await cp(join(ROOT, 'services'), join(root, 'services'), { recursive: true })
  await cp(join(ROOT, 'package.json'), join(root, 'package.json'))
  // What evidence holds of it
  await cp(join(ROOT, 'docs'), join(root, 'docs'), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  return root
}

t.setTimeout(3_600_000)
t.jobs = availableParallelism()

const wanted = (process.env.MUTATIONS ?? '').split(',')
const chosen = mutations.filter(({ file, sentence }) => {
  return wanted.some((words) => `${file}: ${sentence}`.includes(words))
})

const unchanged = [...new Set(chosen.map(({ test }) => test))].map((test) => {
  return t.test(`${test} passes without a mutation`, async (t) => {
    t.equal(await failureOf(test, await copy(t)), undefined)
  })
})

const survivors: string[] = []
const changed = chosen.map(({ file, from, to, sentence, test }) => {
  return t.test(`${file}: fails if it is no longer true that ${sentence}`, async (t) => {
    const root = await copy(t)
    const path = join(root, 'services', file)
    const parts = (await readFile(path, 'utf8')).split(from)
    if (!t.equal(parts.length, 2, `${file} contains the text once: ${from}`)) return
    await writeFile(path, parts.join(to))
    // A file that cannot be imported has no failed test
    const isCaught = t.match(await failureOf(test, root), /^ *(not ok|Bail out!) /m, `a test of ${test} fails`)
    if (!isCaught) survivors.push(`${file}: ${sentence}`)
  })
})

await Promise.all([...unchanged, ...changed])
const summary = `${survivors.length} of ${chosen.length} mutations survived`
process.stderr.write(['', summary, ...survivors, ''].join('\n'))
