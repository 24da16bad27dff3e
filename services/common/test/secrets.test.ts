import { test } from 'tap'
import { manualClock } from './clock.ts'
import { inMs, vault } from './secrets.ts'

const ids = (secret: { validVersions(): Array<{ id: string }> }) => secret.validVersions().map(({ id }) => id)

test('the newest version and those it supersedes are valid, at most three', async (t) => {
  const { add, reader } = vault(t)
  for (const id of ['a', 'b', 'c', 'd']) add(id)
  const secret = reader(String)
  await secret.loaded
  t.same(ids(secret), ['d', 'c', 'b'])
  t.equal(secret.current(), 'value-of-d')
})

test('a version that is not active yet is accepted, and not sent', async (t) => {
  const clock = manualClock()
  const { add, state, reader } = vault(t, clock)
  add('a')
  add('b', { notBefore: clock.in(400) })
  const secret = reader(String)
  await secret.loaded
  const { reads } = state
  t.same(ids(secret), ['b', 'a'])
  t.equal(secret.current(), 'value-of-a')
  await clock.advance(399)
  t.equal(secret.current(), 'value-of-a')
  await clock.advance(1)
  t.equal(secret.current(), 'value-of-b')
  t.equal(state.reads, reads, 'without another refresh')
})

test('a version that is not active yet is sent if there is no other', async (t) => {
  const { add, reader } = vault(t)
  add('a', { notBefore: inMs(60_000) })
  const secret = reader(String)
  await secret.loaded
  t.equal(secret.current(), 'value-of-a')
})

test('an expired or disabled version is not valid, nor any that it supersedes', async (t) => {
  const { add, change, reader } = vault(t)
  for (const id of ['a', 'b', 'c']) add(id)
  change('b', { expiresOn: inMs(-1) })
  const secret = reader(String)
  await secret.loaded
  t.same(ids(secret), ['c'])
  const other = vault(t)
  for (const id of ['a', 'b', 'c']) other.add(id)
  other.change('b', { enabled: false, value: '' })
  const second = other.reader(String)
  await second.loaded
  t.same(ids(second), ['c'])
})

test('a version expires while Key Vault is unavailable too, and is no longer kept', async (t) => {
  const clock = manualClock()
  const { add, change, state, reader } = vault(t, clock)
  add('a')
  add('b')
  change('a', { expiresOn: clock.in(1_500) })
  const secret = reader(String)
  await secret.loaded
  state.isUnavailable = true
  const refreshed = secret.refresh()
  await clock.advance(1_499)
  await refreshed
  t.same(ids(secret), ['b', 'a'], 'cached versions stay valid')
  await clock.advance(1)
  t.same(ids(secret), ['b'])
  t.same(secret.describe().map(({ version }) => version), ['b'])
})

test('a newest version that was disabled by hand leaves those it superseded', async (t) => {
  const clock = manualClock()
  const { add, change, reader } = vault(t, clock)
  add('a')
  add('b')
  const secret = reader(String)
  await secret.loaded
  change('b', { enabled: false, value: '' })
  await clock.until(secret.refresh())
  t.same(ids(secret), ['a'])
  change('a', { enabled: false, value: '' })
  await clock.until(secret.refresh())
  t.same(ids(secret), [])
  t.equal(secret.current(), undefined)
})

test('refreshes start a second apart, and callers share the next one', async (t) => {
  const clock = manualClock()
  const { add, state, reader } = vault(t, clock)
  add('a')
  const secret = reader(String)
  await secret.loaded
  const before = state.reads
  for (const round of [1, 2]) {
    const refreshed = Promise.all(Array.from({ length: 500 }, () => secret.refresh()))
    await clock.advance(999)
    t.equal(state.reads, before + round - 1, 'none starts within a second')
    await clock.advance(1)
    await refreshed
    t.equal(state.reads, before + round)
  }
})

test('a refresh that has begun does not count for a caller who asks later', async (t) => {
  const clock = manualClock()
  const { add, state, reader } = vault(t, clock)
  add('a')
  const secret = reader(String)
  await secret.loaded
  const reading = Promise.withResolvers<void>()
  state.reading = () => reading.promise
  const { reads } = state
  const first = secret.refresh()
  await clock.advance(1_000)
  t.equal(state.reads, reads + 1, 'the first has begun')
  const second = secret.refresh()
  t.not(second, first)
  add('b')
  reading.resolve()
  await clock.advance(1_000)
  await Promise.all([first, second])
  t.equal(state.reads, reads + 2)
  t.same(ids(secret), ['b', 'a'])
})

test('it refreshes within the interval, and listeners are called only for a change', async (t) => {
  const clock = manualClock()
  const { add, state, reader } = vault(t, clock)
  add('a')
  const secret = reader(String, 60)
  await secret.loaded
  let changes = 0
  secret.onChange(() => changes++)
  add('b')
  await clock.advance(44_999)
  t.same(ids(secret), ['a'])
  await clock.advance(15_001)
  t.same(ids(secret), ['b', 'a'])
  const { reads } = state
  await clock.advance(60_000)
  t.ok(state.reads > reads)
  t.equal(changes, 1)
})

test('after a failure it is read again within 5 s', async (t) => {
  const clock = manualClock()
  const { add, state, reader } = vault(t, clock)
  add('a')
  const secret = reader(String, 60)
  await secret.loaded
  state.isUnavailable = true
  await clock.advance(60_000)
  state.isUnavailable = false
  add('b')
  await clock.advance(5_000)
  t.same(ids(secret), ['b', 'a'])
})

test('a start without Key Vault waits until it is available', async (t) => {
  const clock = manualClock()
  const { add, state, reader, logs } = vault(t, clock)
  add('a')
  state.isUnavailable = true
  const secret = reader(String)
  await clock.advance(60_000)
  t.notOk(secret.isLoaded)
  t.ok(state.reads > 10, 'it is read again at least every 5 s')
  state.isUnavailable = false
  await clock.advance(5_000)
  await secret.loaded
  t.ok(secret.isLoaded)
  t.match(logs(), '"level":"warn"')
})

test('a malformed value is ignored, and logged by its version alone', async (t) => {
  const clock = manualClock()
  const { add, reader, logs } = vault(t, clock)
  add('a')
  const secret = reader((value) => {
    if (value === 'value-of-b') throw new Error(value)
    return value
  })
  await secret.loaded
  add('b')
  await clock.until(secret.refresh())
  t.same(ids(secret), ['a'])
  t.match(logs(), '"version":"b"')
  t.notMatch(logs(), 'value-of')
})

test('a key older than its rotation period is a warning', async (t) => {
  const { add, reader, logs } = vault(t)
  add('a', { createdOn: inMs(-91 * 24 * 60 * 60 * 1_000) })
  await reader(String).loaded
  t.match(logs(), /"keyName":"a-secret","version":"a","ageDays":91/)
})

test('a value that nobody rotates never is too old', async (t) => {
  const { add, reader, logs } = vault(t)
  add('a', { createdOn: inMs(-91 * 24 * 60 * 60 * 1_000) })
  await reader(String, 3_600, (value) => value !== 'value-of-a').loaded
  t.notMatch(logs(), 'older than')
})

test('after a refused value come the other valid ones, then those that a refresh adds', async (t) => {
  const clock = manualClock()
  const { add, state, reader } = vault(t, clock)
  add('a')
  add('b', { notBefore: inMs(60_000) })
  const secret = reader(String)
  await secret.loaded
  const { reads } = state
  const sent = secret.alternatives(secret.current()!)
  t.same(await clock.until(sent.next()), { value: 'value-of-b', done: false })
  t.equal(state.reads, reads, 'without a refresh')
  add('c')
  t.same(await clock.until(sent.next()), { value: 'value-of-c', done: false })
  t.ok((await clock.until(sent.next())).done)
})

test('if a refresh adds nothing, the refused value is sent once more', async (t) => {
  const clock = manualClock()
  const { add, state, reader } = vault(t, clock)
  add('a')
  const secret = reader(String)
  await secret.loaded
  t.same(await clock.until(Array.fromAsync(secret.alternatives('value-of-a'))), ['value-of-a'])
  state.isUnavailable = true
  const sent = await clock.until(Array.fromAsync(secret.alternatives('value-of-a', 10)))
  t.same(sent, ['value-of-a'], 'nor while Key Vault is unavailable')
})

test('a malformed newest version does not keep older ones valid', async (t) => {
  const clock = manualClock()
  const { add, change, reader } = vault(t, clock)
  add('a')
  const secret = reader((value) => {
    if (value === 'value-of-b') throw new Error()
    return value
  })
  await secret.loaded
  add('b', { previous: undefined })
  await clock.until(secret.refresh())
  t.same(ids(secret), ['a'])
  change('a', { enabled: false })
  await clock.until(secret.refresh())
  t.same(ids(secret), [])
})
