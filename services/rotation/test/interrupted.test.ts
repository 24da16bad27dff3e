import t from 'tap'
import { randomSecret } from '../strategy.ts'
import { loginOf, startRotation, startUsers } from './rotation.ts'

const rotation = await startRotation(t)
const { run, set, chain, counts, validVersions, toldValues } = rotation
const { begin } = await startUsers(t, rotation)

const keys = ['patient-host-key', 'audit-host-key', 'patient-data-key']
const connections = ['patient-db-connection', 'audit-db-connection', 'audit-db-viewer-connection']

async function beginKey (name: string) {
  const value = randomSecret()
  return { value, id: await set(name, value) }
}

const works = async (name: string, value: string) => keys.includes(name) || await loginOf(value) === 0

// Killed at each response of the vault: what was requested is done, and nothing after it. The secrets of one
// kind are rotated side by side, each killed at another response.
t.test('a rotation may be killed at any point and repeated', async (t) => {
  const all = [...keys, ...connections]
  const killed = new Set<string>()
  const ended = new Set<string[]>()
  for (let first = 1; ended.size < 2; first += 3) {
    const before = new Map<string, { id: string, value: string }>()
    for (const name of all) before.set(name, await (keys.includes(name) ? beginKey(name) : begin(name)))
    const countsBefore = await counts()

    const runs = await Promise.all([keys, connections].map(async (names) => {
      const runs = []
      for (let i = 0; i < names.length && !ended.has(names); i++) {
        const [name, at] = [names[i]!, first + i]
        const { code, signal, stderr } = await run([name], { killedAt: at })
        runs.push({ name, at })
        if (signal === 'SIGKILL') killed.add(`${names === keys ? 'key' : 'connection string'} ${at}`)
        else {
          t.equal(code, 0, stderr)
          ended.add(names)
        }
      }
      return runs
    }))
    for (const { name, at } of runs.flat()) {
      const { id, value } = before.get(name)!
      t.ok(
        (await validVersions(name)).some((version) => version.id === id),
        `${name}, killed at ${at}: what was used before is in force`
      )
      t.ok(await works(name, value), 'and works')
    }

    const { code, stderr } = await run(runs.flat().map(({ name }) => name))
    t.equal(code, 0, stderr)
    const countsAfter = await counts()
    for (const { name, at } of runs.flat()) {
      const [newest, previous, ...others] = await chain(name)
      t.equal(
        countsAfter[name],
        countsBefore[name]! + 1,
        `${name}, killed at ${at} and repeated: there is one new version in all`
      )
      t.ok(newest!.notBefore! > new Date())
      t.equal(newest!.expiresOn, undefined)
      t.ok(await works(name, newest!.value), 'the newest works')
      t.equal(previous!.id, before.get(name)!.id)
      t.ok(previous!.expiresOn! > new Date(), 'the superseded one has an end')
      t.ok(await works(name, previous!.value), 'and works until then')
      t.strictSame(others, [])
    }
  }
  // The newest twice, the new one, that twice, the superseded one and its expiry
  for (let at = 1; at <= 7; at++) t.ok(killed.has(`key ${at}`))
  // And the admin's
  for (let at = 1; at <= 8; at++) t.ok(killed.has(`connection string ${at}`))
})

t.test('it shows no value of a key or password', async (t) => {
  t.strictSame((await toldValues()).told, [])
})
