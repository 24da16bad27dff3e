import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { inMs, vault } from './secrets.ts'

const ids = (secret: { validVersions (): Array<{ id: string }> }) => secret.validVersions().map(({ id }) => id)

test('the newest version and those it supersedes are in force, at most three', async (t) => {
  const { add, reader } = vault(t)
  for (const id of ['a', 'b', 'c', 'd']) add(id)
  const secret = reader(String)
  await secret.loaded
  t.same(ids(secret), ['d', 'c', 'b'])
  t.equal(secret.current(), 'value-of-d')
})

test('a version that is not active yet is accepted, and not shown', async (t) => {
  const { add, reader } = vault(t)
  add('a')
  add('b', { notBefore: inMs(400) })
  const secret = reader(String)
  await secret.loaded
  t.same(ids(secret), ['b', 'a'])
  t.equal(secret.current(), 'value-of-a')
  await sleep(450)
  t.equal(secret.current(), 'value-of-b', 'without another look')
})

test('one that is not active yet is shown where there is no other', async (t) => {
  const { add, reader } = vault(t)
  add('a', { notBefore: inMs(60_000) })
  const secret = reader(String)
  await secret.loaded
  t.equal(secret.current(), 'value-of-a')
})

test('an expired or disabled version is not in force, nor any that it supersedes', async (t) => {
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

test('a version expires in an outage too, and memory keeps it no longer', async (t) => {
  const { add, change, state, reader } = vault(t)
  add('a')
  add('b')
  change('a', { expiresOn: inMs(1_500) })
  const secret = reader(String)
  await secret.loaded
  state.away = true
  await secret.refresh()
  t.same(ids(secret), ['b', 'a'], 'what is known stays in force')
  await sleep(700)
  t.same(ids(secret), ['b'])
  t.same(secret.describe().map(({ version }) => version), ['b'])
})

test('a newest version that was disabled by hand leaves those it superseded', async (t) => {
  const { add, change, reader } = vault(t)
  add('a')
  add('b')
  const secret = reader(String)
  await secret.loaded
  change('b', { enabled: false, value: '' })
  await secret.refresh()
  t.same(ids(secret), ['a'])
  change('a', { enabled: false, value: '' })
  await secret.refresh()
  t.same(ids(secret), [])
  t.equal(secret.current(), undefined)
})

test('looks begin a second apart, and who asks meanwhile shares the next', async (t) => {
  const { add, state, reader } = vault(t)
  add('a')
  const secret = reader(String)
  await secret.loaded
  const before = state.looks
  const began = performance.now()
  await Promise.all(Array.from({ length: 500 }, () => secret.refresh()))
  t.equal(state.looks, before + 1)
  await Promise.all(Array.from({ length: 500 }, () => secret.refresh()))
  t.equal(state.looks, before + 2)
  t.ok(performance.now() - began > 1_900)
})

test('a look that began before does not count for who asks after', async (t) => {
  const { add, state, reader } = vault(t)
  add('a')
  const secret = reader(String)
  await secret.loaded
  const first = secret.refresh()
  await sleep(0)
  add('b')
  await first
  await secret.refresh()
  t.same(ids(secret), ['b', 'a'])
  t.ok(state.looks >= 2)
})

test('it looks by itself within the interval, and tells its listeners of a change alone', async (t) => {
  const { add, reader } = vault(t)
  add('a')
  const secret = reader(String, 1)
  await secret.loaded
  let changes = 0
  secret.onChange(() => changes++)
  add('b')
  while (secret.validVersions().length === 1) await sleep(20)
  t.same(ids(secret), ['b', 'a'])
  await secret.refresh()
  t.equal(changes, 1)
})

test('a start without a vault waits, and goes on when it answers', async (t) => {
  const { add, state, reader, logs } = vault(t)
  add('a')
  state.away = true
  const secret = reader(String)
  await sleep(250)
  t.notOk(secret.isLoaded)
  state.away = false
  await secret.loaded
  t.ok(secret.isLoaded)
  t.match(logs(), '"level":"warn"')
})

test('a value that is not of its kind is passed over, and named by its version alone', async (t) => {
  const { add, reader, logs } = vault(t)
  add('a')
  const secret = reader((value) => {
    if (value === 'value-of-b') throw new Error(value)
    return value
  })
  await secret.loaded
  add('b')
  await secret.refresh()
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

test('in the place of a refused value comes every other in force, then what a look brings', async (t) => {
  const { add, state, reader } = vault(t)
  add('a')
  add('b', { notBefore: inMs(60_000) })
  const secret = reader(String)
  await secret.loaded
  const looks = state.looks
  const shown = secret.alternatives(secret.current()!)
  t.same(await shown.next(), { value: 'value-of-b', done: false })
  t.equal(state.looks, looks, 'without a look')
  add('c')
  t.same(await shown.next(), { value: 'value-of-c', done: false })
  t.ok((await shown.next()).done)
})

test('where a look brings nothing new, the refused value is tried once more', async (t) => {
  const { add, state, reader } = vault(t)
  add('a')
  const secret = reader(String)
  await secret.loaded
  t.same(await Array.fromAsync(secret.alternatives('value-of-a')), ['value-of-a'])
  state.away = true
  t.same(await Array.fromAsync(secret.alternatives('value-of-a', 10)), ['value-of-a'], 'nor in an outage')
})

test('a newest version that is not of its kind does not keep older ones from ending', async (t) => {
  const { add, change, reader } = vault(t)
  add('a')
  const secret = reader((value) => {
    if (value === 'value-of-b') throw new Error()
    return value
  })
  await secret.loaded
  add('b', { previous: undefined })
  await secret.refresh()
  t.same(ids(secret), ['a'])
  change('a', { enabled: false })
  await secret.refresh()
  t.same(ids(secret), [])
})
