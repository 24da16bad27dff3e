import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { applied, deploy, DIGEST, DOORS, leftOpen } from './deploy-stubs.ts'

const OPEN = /-var=deployer_ip_ranges=\["192\.0\.2\.1\/32"\]/
const CLOSED = /-var=deployer_ip_ranges=\[\]/
const STATE = { STATE_STORAGE_ACCOUNT: 'ststate' }
const IMAGES = JSON.stringify({ patient: 'p', audit: 'a', rotation: 'r' })

/** A gateway with one patient, which is available after `refused` calls. */
async function gateway (t: Test, refused = 2) {
  let calls = 0
  const server = createServer((request, response) => {
    request.resume()
    calls++
    const key = request.headers['ocp-apim-subscription-key']
    const done = request.method === 'DELETE' ? 204 : request.url === '/patient' ? 201 : 200
    const status = key !== 'the-subscription-key' ? 401 : calls <= refused ? 503 : done
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(status === 204 ? undefined : '{"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7"}')
  })
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { GATEWAY: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

t.test('applies the registry, pushes the images, applies the rest, and closes public access', async (t) => {
  const { status, output, calls, records } = await deploy(t, ['dev', '--yes'], { env: await gateway(t) })
  t.equal(status, 0, output)
  const [registry, rest, doors, ...more] = applied(records)
  t.match(registry, OPEN)
  t.match(registry, /-target=module\.registry -target=module\.vault\.azurerm_role_assignment\.deployer$/)
  t.match(rest, OPEN)
  t.notMatch(rest, '-target')
  t.match(doors, CLOSED)
  t.match(doors, /-target=module\.vault\.azurerm_key_vault\.main .*-target=module\.registry\.azurerm_\w+\.main$/)
  t.same(more, [])
  const applies = calls.filter((call) => / apply /.test(call)).map((call) => calls.indexOf(call))
  const pushes = calls.filter((call) => call.startsWith('docker buildx build'))
  const [lookup, ...lookups] = calls.filter((call) => call.startsWith('az keyvault secret list --vault'))
  t.same([pushes.length, lookups.length], [4, 0])
  const [first, last, looked] = [pushes[0]!, pushes[3]!, lookup!].map((call) => calls.indexOf(call))
  const order = [applies[0]!, first!, last!, looked!, applies[1]!]
  t.same(order, order.toSorted((a, b) => a - b), 'secrets are created after the vault accepts the deployer')
  for (const image of ['patient', 'audit', 'rotation', 'auditor']) {
    t.ok(
      records.some((line) => line.startsWith('images ') && line.includes(`cr.azurecr.io/${image}@${DIGEST}`)),
      `${image} is named by its digest`
    )
  }
  t.notOk(calls.some((call) => call.includes('role definition create')), 'an existing role stays')
  t.same(leftOpen({ calls, records }), [])
})

t.test('prints the statuses, and the addresses that the services saw', async (t) => {
  const { output } = await deploy(t, ['dev', '--yes'], { env: await gateway(t) })
  const lines = [
    'POST /patient 503',
    'POST /patient 503',
    'POST /patient 201',
    'GET /patient/{patientId} 200',
    'POST /patient/search 200',
    'DELETE /patient/{patientId} 204'
  ]
  t.match(output, `${lines.join('\n')}\n`)
  t.match(output, 'audit: accepts calls from 100.100.0.9; refused 100.100.0.7')
  t.notMatch(output, '7c9e6679', 'no id of a patient')
  t.notMatch(output, 'the-subscription-key', 'no key')
})

t.test('generates new keys at each run, and none of them is in a command', async (t) => {
  const { calls, records } = await deploy(t, ['dev', '--yes'], { env: await gateway(t) })
  const again = await deploy(t, ['dev', '--yes'], { env: await gateway(t) })
  const secrets = records.find((line) => line.startsWith('secrets '))!
  const keys = Object.values<string>(JSON.parse(secrets.slice('secrets '.length)))
  t.equal(new Set(keys).size, 6)
  t.ok(keys.every((key) => /^[\w-]{43}$/.test(key)))
  t.notOk(keys.some((key) => again.records.join().includes(key)))
  const all = [...keys, 'the-subscription-key']
  t.notOk(calls.some((call) => all.some((key) => call.includes(key))))
})

t.test('closes public access after a failure, and reports it', async (t) => {
  for (const FAILS of ['az acr login', 'docker buildx', 'az keyvault secret list', '/terraform plan']) {
    const env = { ...STATE, FAILS, FAILS_ALWAYS: 'yes' }
    const { status, output, calls, records } = await deploy(t, ['dev', '--yes'], { env })
    t.equal(status, 1, FAILS)
    t.match(output, /npm run deploy: .* failed/, FAILS)
    t.same(leftOpen({ calls, records }), [], FAILS)
  }
})

t.test('plans and applies once more after a failed apply, and no more often', async (t) => {
  const args = ['dev', '--yes', '--untried', '--images', IMAGES]
  const once = await deploy(t, args, { env: { FAILS: ' apply ', FAILS_NTH: '2' } })
  t.equal(once.status, 0, once.output)
  t.match(once.output, 'the rest is planned once more')
  const plans = applied(once.records)
  t.same(plans.map((plan) => plan.includes('-target')), [true, false, true])
  t.equal(once.calls.filter((call) => / plan /.test(call)).length, 4, 'it is not the old plan that is applied')
  const always = await deploy(t, args, { env: { FAILS: ' apply ', FAILS_ALWAYS: 'yes' } })
  t.equal(always.status, 1)
  t.match(always.output, 'Run this with --close', 'what could not be closed is reported')
  const vault = await deploy(t, args, { env: { FAILS: 'az keyvault secret list' } })
  t.equal(vault.status, 0, 'the vault accepts the deployer after a while')
})

t.test('adopts a request log that API Management has created itself', async (t) => {
  const STATE = `${DOORS} module.gateway.azurerm_api_management.main`
  const env = { FAILS: ' apply ', FAILS_NTH: '2', STATE }
  const { calls } = await deploy(t, ['dev', '--yes', '--untried', '--images', IMAGES], { env })
  const adoption = calls.find((call) => / import /.test(call))
  t.match(adoption, /main\["azuremonitor"\] \/subscriptions\/1\/apim\/diagnostics\/azuremonitor$/)
})

t.test('creates the custom role if there is none, with a name that is unique in the tenant', async (t) => {
  const env = { ...await gateway(t), ROLE_EXISTS: '' }
  const { calls } = await deploy(t, ['dev', '--yes'], { env })
  const creation = calls.find((call) => call.startsWith('az role definition create'))
  t.match(creation, 'regenerateKey/action')
  t.match(creation, '"/subscriptions/00000000-0000-0000-0000-000000000001"')
  t.match(creation, '"Cosmos DB key rotation (00000000-0000-0000-0000-000000000001)"')
  const names = readFileSync(join(import.meta.dirname, '../names.tf'), 'utf8')
  const name = '"Cosmos DB key rotation ($' + '{data.azurerm_client_config.current.subscription_id})"'
  t.match(names, name, 'Terraform assigns the role by this name')
})

t.test('uses existing images, and does not open public access from inside the network', async (t) => {
  const args = ['prod', '--yes', '--inside', '--images', IMAGES]
  const { calls, records } = await deploy(t, args, { env: { ...STATE, ...await gateway(t) } })
  t.notOk(calls.some((call) => call.startsWith('docker') || call.includes('network-rule')))
  t.ok(records.includes(`images ${IMAGES}`))
  t.ok(applied(records).every((plan) => CLOSED.test(plan) && plan.includes('prod.tfvars')))
  t.equal(applied(records).length, 2)
})

t.test('makes nothing that was not agreed to', async (t) => {
  const env = { ...STATE, ROLE_EXISTS: '', ...await gateway(t) }
  for (const [yes, made] of [[0, 0], [1, 0], [2, 2]] as const) {
    const answers = [...Array<string>(yes).fill('yes'), 'no']
    const { status, output, calls, records } = await deploy(t, ['dev'], { env, answers })
    t.equal(status, 1)
    t.match(output, 'npm run deploy: stopped, because the change was not agreed to')
    const role = calls.some((call) => call.includes('role definition create'))
    t.same([role, applied(records).length], [yes > 0, made], `${yes} times yes, then no`)
    t.ok(made === 0 || CLOSED.test(applied(records).at(-1)!))
    t.same(leftOpen({ calls, records }), [])
  }
  const agreed = await deploy(t, ['dev'], { env, answers: ['yes', 'yes', 'yes'] })
  t.equal(agreed.status, 0, agreed.output)
  t.equal(applied(agreed.records).length, 3)
})

t.test('asks nothing where there are no changes, and takes the end of the answers for a no', async (t) => {
  const env = { ...STATE, PLANS: '0', ...await gateway(t) }
  const { status, output, records } = await deploy(t, ['dev'], { env })
  t.same([status, applied(records)], [0, []], output)
  const silent = await deploy(t, ['dev'], { env: { ...env, PLANS: '2' } })
  t.same([silent.status, applied(silent.records)], [1, []])
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`leaves nothing open and nothing over at ${signal} in each step`, async (t) => {
    const env = { ...STATE, ...await gateway(t, 0) }
    const args = ['dev', '--yes']
    const { calls } = await deploy(t, args, { env })
    t.ok(calls.length > 20)
    for (const [index, call] of calls.entries()) {
      // What the smoke test itself calls ends with it
      if (call.startsWith('az containerapp logs')) continue
      const step = String(index + 1)
      const all = await deploy(t, args, { env: { ...env, HANG_AT: step }, signal })
      // What closes is not interrupted
      t.equal(all.status, all.output.includes('please wait') ? 0 : 1, `the status after ${call}`)
      t.same(leftOpen(all), [], call)
      const opened = all.records.some((line) => line.startsWith('applied ') && OPEN.test(line))
      t.ok(!opened || CLOSED.test(applied(all.records).at(-1)!), call)
    }
  })
}

t.test('closes what a killed deployment left open', async (t) => {
  const env = { ...STATE, ADMITTED: '192.0.2.1\n203.0.113.9' }
  const { status, calls, records } = await deploy(t, ['dev', '--close'], { env })
  t.equal(status, 0)
  t.equal(applied(records).length, 1)
  t.match(applied(records)[0], CLOSED)
  t.match(applied(records)[0], /-target=module\.vault.* -target=module\.registry/)
  t.same(calls.filter((call) => /network-rule (add|remove)/.test(call)).map((call) => call.split(' ').slice(3)), [
    [
      'network-rule', 'remove', '--resource-group', 'rg-state', '--account-name', 'ststate',
      '--ip-address', '192.0.2.1', '--output', 'none'
    ]
  ])
})

t.test('opens the state to this machine, waits for it, and closes it last', async (t) => {
  const env = { ...STATE, FAILS: 'az storage blob list', ...await gateway(t) }
  const { status, calls } = await deploy(t, ['dev', '--yes'], { env })
  t.equal(status, 0)
  const first = calls.slice(0, 5).map((call) => call.split(/ -/)[0])
  t.same(first, [
    'az storage account network-rule list', 'az storage account network-rule add',
    'az storage blob list', 'az storage blob list', 'terraform'
  ])
  t.match(calls.at(-1), /network-rule remove .*--ip-address 192\.0\.2\.1 /)
  const admitted = await deploy(t, ['dev', '--yes'], { env: { ...env, FAILS: '-', ADMITTED: '192.0.2.1' } })
  t.notOk(admitted.calls.some((call) => /network-rule (add|remove)/.test(call)), 'a permanent rule stays')
})

t.test('lifts the locks only if told so, and sets them again', async (t) => {
  const env = await gateway(t)
  const { records } = await deploy(t, ['prod', '--yes', '--unlock', '--images', IMAGES], { env })
  const [unlocked, ...more] = applied(records)
  t.match(unlocked, /delete_lock_enabled=false .*-target=module\.vault\.azurerm_management_lock\.main/)
  t.notOk(more.some((plan) => plan.includes('delete_lock_enabled')))
  const broken = await deploy(t, ['prod', '--yes', '--unlock', '--images', IMAGES], {
    env: { ...env, FAILS: 'az keyvault', FAILS_ALWAYS: 'yes' }
  })
  t.match(applied(broken.records).at(-1), /-target=module\.data\.azurerm_management_lock\.main$/)
  t.notMatch(applied(broken.records).at(-1), 'delete_lock_enabled')
})

t.test('opens public access to delete an environment, and waits until the vault accepts it', async (t) => {
  const { status, calls, records } = await deploy(t, ['dev', '--yes', '--destroy'])
  t.equal(status, 0)
  const [open, away] = applied(records)
  t.match(open, OPEN)
  t.match(open, /-target=module\.vault\.azurerm_key_vault\.main/)
  t.match(away, /dev\.tfvars .*-destroy$/)
  const wait = calls.findIndex((call) => call.startsWith('az keyvault secret list'))
  t.ok(wait > calls.findIndex((call) => call.includes(' apply ')), 'and the wait is before the deletion')
  const kept = await deploy(t, ['dev', '--destroy'], { answers: ['no'] })
  t.same([kept.status, applied(kept.records)], [1, []])
})

t.test('shows the changes, and makes none', async (t) => {
  const { calls, records } = await deploy(t, ['dev', '--plan'])
  const plans = calls.filter((call) => / plan /.test(call))
  t.equal(plans.length, 1)
  t.match(plans[0], CLOSED)
  t.match(plans[0], /-refresh=false$/)
  t.same(applied(records), [])
})

t.test('creates only the registry, closed, and writes its name for the next step', async (t) => {
  const file = join(mkdtempSync(join(tmpdir(), 'outputs-')), 'outputs')
  const { status, records } = await deploy(t, ['dev', '--yes', '--registry', '--outputs', file])
  t.equal(status, 0)
  t.equal(applied(records).length, 1)
  t.match(applied(records)[0], CLOSED)
  t.match(applied(records)[0], /-target=module\.registry$/)
  t.equal(readFileSync(file, 'utf8'), 'registry_name=cr\n')
})

t.test('skips the smoke test with --untried', async (t) => {
  const { status, output } = await deploy(t, ['dev', '--yes', '--untried'])
  t.equal(status, 0)
  t.notMatch(output, 'POST')
})

t.test('creates new revisions without calls, and waits until they are ready', async (t) => {
  const args = ['prod', '--yes', '--images', IMAGES, '--upgrade', '0']
  const { status, output, calls, records } = await deploy(t, args, { env: await gateway(t) })
  t.equal(status, 0, output)
  const upgrade = records.find((line) => line.startsWith('upgrade '))!
  t.same(JSON.parse(upgrade.slice('upgrade '.length)), {
    live: { primary: { patient: 'p1', audit: 'a1' }, northeurope: { patient: 'p1', audit: 'a1' } },
    percentage: 0
  })
  const isCheck = (call: string) => call.includes('latestRevisionName')
  const checks = calls.flatMap((call, index) => isCheck(call) ? [index] : [])
  t.equal(checks.length, 4, 'both apps in both regions')
  t.ok(checks[0]! > calls.findLastIndex((call) => call.includes(' apply ')), 'after everything is closed')
  const smoke = calls.findIndex((call) => call.includes('subscriptions/smoke'))
  t.ok(checks[3]! < smoke, 'then comes the smoke test')
  const unready = await deploy(t, args, { env: { AUDIT_READY: 'audit--a1' } })
  t.equal(unready.status, 1)
  t.match(unready.output, 'audit in rg has no new revision that is ready')
  t.notMatch(unready.output, 'POST', 'and there is no smoke test')
  t.same(leftOpen(unready), [])
})

t.test('moves calls only to new revisions that are ready', async (t) => {
  const args = ['prod', '--yes', '--untried', '--images', IMAGES, '--upgrade', '10']
  const { status, records } = await deploy(t, args)
  t.equal(status, 0)
  t.ok(records.some((line) => line.startsWith('upgrade ') && line.endsWith('"percentage":10}')))
  const [old, same] = [{ AUDIT_READY: 'audit--a1' }, { PATIENT_LIVE: 'patient--new' }]
  for (const env of [old, same] as Array<Record<string, string>>) {
    const refused = await deploy(t, args, { env })
    t.same([refused.status, applied(refused.records)], [1, []], 'nothing is applied')
    t.match(refused.output, 'has no new revision that is ready')
  }
  const none = await deploy(t, args, { env: { PATIENT_LIVE: '' } })
  t.same([none.status, applied(none.records)], [1, []])
})

t.test('shows an upgrade, and changes nothing', async (t) => {
  const args = ['prod', '--plan', '--images', IMAGES, '--upgrade', '10']
  const { status, output, calls, records } = await deploy(t, args)
  t.equal(status, 0, output)
  t.match(calls.filter((call) => / plan /.test(call)), [CLOSED])
  t.match(records, [/^upgrade \{"live":\{"primary":\{"patient":"p1","audit":"a1"\}.*"percentage":10\}$/])
})

t.test('ends an upgrade by a deployment without one', async (t) => {
  const { records } = await deploy(t, ['prod', '--yes', '--untried', '--images', IMAGES])
  const upgrades = records.filter((line) => line.startsWith('upgrade '))
  t.ok(upgrades.length > 0 && upgrades.every((line) => line === 'upgrade '))
})

t.test('refuses an upgrade without images, or to more than all calls', async (t) => {
  for (const args of [['--upgrade', '0'], ['--upgrade', '101', '--images', IMAGES], ['--upgrade', '']]) {
    const { status, output, calls } = await deploy(t, ['prod', '--yes', ...args])
    t.same([status, calls], [1, []], args.join(' '))
    t.match(output, '--upgrade needs a percentage from 0 to 100, and --images')
  }
})

t.test('refuses an unknown environment', async (t) => {
  const { status, output, calls } = await deploy(t, ['nowhere'])
  t.same([status, calls], [1, []])
  t.match(output, 'there is no terraform/environments/nowhere.tfvars')
})
