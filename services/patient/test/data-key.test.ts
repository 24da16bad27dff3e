import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { test, type Test } from 'tap'
import type { Secret } from '../../common/secrets/secrets.ts'
import { vault } from '../../common/test/secrets.ts'
import { dataKey, dataKeys } from '../data-key.ts'
import { InvalidCursor } from '../errors.ts'

const key = dataKey(randomBytes(32).toString('base64url'))

test('what was sealed opens in its context alone', async (t) => {
  const sealed = key.seal('Lovelace', 'context')
  t.equal(key.open(sealed, 'context'), 'Lovelace')
  t.throws(() => key.open(sealed, 'another'), InvalidCursor)
  t.throws(() => dataKey(randomBytes(32).toString('base64url')).open(sealed, 'context'), InvalidCursor)
})

test('nothing of it is readable, and no two are alike', async (t) => {
  const sealed = key.seal('Lovelace', 'context')
  t.notMatch(Buffer.from(sealed, 'base64url').toString('latin1'), /Love/)
  t.not(key.seal('Lovelace', 'context'), sealed)
})

test('any changed, added or missing character is noticed', async (t) => {
  const sealed = key.seal('Lovelace', 'context')
  for (let at = 0; at < sealed.length; at++) {
    for (const other of ['A', 'B', '_', '=', '+']) {
      if (sealed[at] === other) continue
      t.throws(() => key.open(sealed.slice(0, at) + other + sealed.slice(at + 1), 'context'), InvalidCursor)
    }
    t.throws(() => key.open(sealed.slice(0, at), 'context'), InvalidCursor)
  }
  for (const longer of [`${sealed}A`, `${sealed}=`, `${sealed} `, ` ${sealed}`]) {
    t.throws(() => key.open(longer, 'context'), InvalidCursor)
  }
})

test('an HMAC depends on text and key', async (t) => {
  t.equal(key.mac('a'), key.mac('a'))
  t.not(key.mac('a'), key.mac('b'))
  t.not(key.mac('a'), dataKey(randomBytes(32).toString('base64url')).mac('a'))
})

test('an HMAC has a key of its own, the same in every release: claims are found by it', async (t) => {
  const secret = randomBytes(32)
  const derived = Buffer.from(hkdfSync('sha256', secret, '', 'idempotency', 32))
  const expected = createHmac('sha256', derived).update('a').digest('base64url')
  t.equal(dataKey(secret.toString('base64url')).mac('a'), expected)
})

async function rotating (t: Test) {
  const store = vault(t)
  const add = (id: string, more = {}) =>
    store.add(id, { value: randomBytes(32).toString('base64url'), ...more })
  add('first')
  const secret = store.reader(dataKey)
  await secret.loaded
  const keys = dataKeys({ open: <T>() => secret as unknown as Secret<T> })
  return { ...store, add, secret, keys }
}

test('every valid version opens, and the newest one seals', async (t) => {
  const { add, change, secret, keys } = await rotating(t)
  const sealed = keys.seal('Lovelace', 'context')
  add('second')
  await secret.refresh()
  t.equal(await keys.open(sealed, 'context'), 'Lovelace')
  const [second, first] = keys.validKeys()
  t.throws(() => first!.open(keys.seal('Lovelace', 'context'), 'context'), InvalidCursor)
  t.equal(second, keys.current())
  change('first', { enabled: false })
  await secret.refresh()
  await t.rejects(keys.open(sealed, 'context'), InvalidCursor)
})

test('a text that a newer version sealed opens after a refresh', async (t) => {
  const { add, secret, keys } = await rotating(t)
  add('second', { value: 'k'.repeat(43) })
  t.equal(await keys.open(dataKey('k'.repeat(43)).seal('Lovelace', 'context'), 'context'), 'Lovelace')
  t.same(secret.validVersions().map(({ id }) => id), ['second', 'first'])
})

test('nothing is sealed without a valid version', async (t) => {
  const { change, secret, keys } = await rotating(t)
  change('first', { enabled: false })
  await secret.refresh()
  t.throws(() => keys.seal('Lovelace', 'context'), { code: 'KEYS_UNAVAILABLE' })
})
