import t from 'tap'
import { runScript } from './deploy-stubs.ts'

const GROUP = ['rg-patients-dev']
const COPIES = ['cosmos-x-audit-1-r', 'cosmos-x-patient-1-r']

const deleted = (calls: string[]) =>
  calls.flatMap((call) => /^az cosmosdb delete .*--name (\S+) --yes/.exec(call)?.[1] ?? [])

t.test('restores both databases beside those in use, and deletes the copies', async (t) => {
  const args = [...GROUP, '--at', '2026-01-01T12:00:00Z']
  const { status, output, calls } = await runScript(t, 'rehearse.ts', args)
  t.equal(status, 0, output)
  const restores = calls.filter((call) => call.startsWith('az cosmosdb restore'))
  t.equal(restores.length, 2)
  t.match(restores[0], '--account-name cosmos-x-audit-1 --target-database-account-name cosmos-x-audit-1-r')
  t.ok(restores.every((call) => call.includes('--restore-timestamp 2026-01-01T12:00:00Z')))
  t.ok(restores.every((call) => call.includes('--public-network-access Disabled')))
  t.match(output, 'patient: restored to 2026-01-01T12:00:00Z in 1 min')
  t.same(deleted(calls), COPIES)
})

t.test('reports a copy that lacks collections, and deletes it', async (t) => {
  const { status, output, calls } = await runScript(t, 'rehearse.ts', GROUP, { env: { RESTORED: 'a\\n' } })
  t.equal(status, 1)
  t.match(output, 'the copy of patient lacks collections: a')
  t.same(deleted(calls), COPIES)
})

t.test('deletes what was restored after Ctrl-C in each step, and never an account in use', async (t) => {
  const { calls } = await runScript(t, 'rehearse.ts', GROUP)
  for (const [index, call] of calls.entries()) {
    const env = { HANG_AT: String(index + 1) }
    const all = await runScript(t, 'rehearse.ts', GROUP, { env, signal: 'SIGINT' })
    const restores = all.calls.filter((call) => call.includes('cosmosdb restore')).join()
    const begun = COPIES.filter((copy) => restores.includes(copy))
    t.ok(begun.every((copy) => deleted(all.calls).includes(copy)), call)
    t.ok(deleted(all.calls).every((name) => COPIES.includes(name)), 'only copies')
  }
})

t.test('refuses a time that is none', async (t) => {
  const { status, calls } = await runScript(t, 'rehearse.ts', [...GROUP, '--at', 'yesterday'])
  t.same([status, calls], [1, []])
})
