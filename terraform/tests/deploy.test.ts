import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'

const DEPLOY = join(import.meta.dirname, '../deploy.ts')
const DIGEST = `sha256:${'a'.repeat(64)}`

// Each stub logs its arguments and prints the minimum that deploy.ts needs
const COMMANDS = {
  az: `case "$*" in
  "account show"*) echo 00000000-0000-0000-0000-000000000001 ;;
  "role definition list"*) echo "$ROLE_EXISTS" ;;
  *listSecrets*) echo the-subscription-key ;;
  "containerapp logs show --name audit"*)
    echo '2026-01-01T00:00:00Z {"level":20,"msg":"calls come from this address","address":"100.100.0.9"}'
    echo '2026-01-01T00:00:00Z {"msg":"calls refused","lack":"caller-address","address":"100.100.0.7"}' ;;
esac`,
  docker: `while [ "$1" ]; do
  if [ "$1" = --metadata-file ]; then echo '{"containerimage.digest":"${DIGEST}"}' > "$2"; fi
  shift
done`,
  git: 'echo 0123456789',
  terraform: `case "$*" in
  *"output -raw gateway_url") printf %s "$GATEWAY" ;;
  *"output -raw gateway_id") printf %s /subscriptions/1/apim ;;
  *"output -raw registry_login_server") printf %s cr.azurecr.io ;;
  *"output -raw key_vault_name") printf %s kv ;;
  *"output -raw registry_name") printf %s cr ;;
  *"output -raw resource_group") printf %s rg ;;
  *"state list") echo module.vault.azurerm_key_vault.main ;;
  *apply*) echo "images $TF_VAR_images" >> "$CALLS"; echo "secrets $TF_VAR_secret_values" >> "$SECRETS" ;;
esac
case "$*" in *"$FAILS"*) exit 1 ;; esac`
}

async function deploy (t: Test, args: string[], environment: Record<string, string> = {}) {
  const directory = t.testdir()
  for (const [name, script] of Object.entries(COMMANDS)) {
    writeFileSync(join(directory, name), `#!/bin/sh\necho "${name} $*" >> "$CALLS"\n${script}\n`)
    chmodSync(join(directory, name), 0o755)
  }
  const [calls, secrets] = [join(directory, 'calls'), join(directory, 'secrets')]
  const env = {
    ...process.env,
    PATH: `${directory}${delimiter}${process.env.PATH}`,
    CALLS: calls,
    SECRETS: secrets,
    FAILS: 'nothing fails',
    ROLE_EXISTS: 'yes',
    DEPLOYER_IP_RANGES: '192.0.2.1/32',
    STATE_STORAGE_ACCOUNT: '',
    ARM_SUBSCRIPTION_ID: '00000000-0000-0000-0000-000000000001',
    ...environment
  }
  const child = spawn(process.execPath, [DEPLOY, ...args], { env })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => { output += text })
  child.stderr.setEncoding('utf8').on('data', (text) => { output += text })
  const [status] = await once(child, 'close')
  const read = (file: string) => {
    try {
      return readFileSync(file, 'utf8').split('\n').filter(Boolean)
    } catch {
      return []
    }
  }
  return { status, output, calls: read(calls), secrets: read(secrets) }
}

/** A gateway with one patient, which is available from the third call on. */
async function gateway (t: Test) {
  let calls = 0
  const server = createServer((request, response) => {
    request.resume()
    calls++
    const key = request.headers['ocp-apim-subscription-key']
    const done = request.method === 'DELETE' ? 204 : request.url === '/patient' ? 201 : 200
    const status = key !== 'the-subscription-key' ? 401 : calls < 3 ? 503 : done
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(status === 204 ? undefined : '{"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7"}')
  })
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const changes = (calls: string[]) => calls.filter((call) => /^terraform .* (apply|destroy|plan) /.test(call))

t.test('applies the registry, pushes the images, applies the rest, and closes public access', async (t) => {
  const { status, output, calls } = await deploy(t, ['dev', '--yes'], { GATEWAY: await gateway(t) })
  t.equal(status, 0, output)
  const [registry, rest, doors, ...more] = changes(calls)
  t.match(registry, /-var=deployer_ip_ranges=\["192\.0\.2\.1\/32"\] .*-target=module\.registry/)
  t.match(rest, /-var=deployer_ip_ranges=\["192\.0\.2\.1\/32"\]/)
  t.notMatch(rest, '-target')
  t.match(doors, /-var=deployer_ip_ranges=\[\] .*-target=module\.vault\.azurerm_key_vault\.main/)
  t.match(doors, /-target=module\.registry\.azurerm_container_registry\.main$/)
  t.same(more, [])
  const pushes = calls.filter((call) => call.startsWith('docker buildx build'))
  t.equal(pushes.length, 3)
  const lookups = calls.filter((call) => call.startsWith('az keyvault secret list --vault-name kv'))
  t.ok(
    lookups.length === 1 && calls.indexOf(lookups[0]!) < calls.indexOf(rest!),
    'secrets are created after the vault accepts the deployer'
  )
  t.ok(
    calls.indexOf(pushes[0]!) > calls.indexOf(registry!) && calls.indexOf(pushes[2]!) < calls.indexOf(rest!)
  )
  t.ok(
    calls.some((call) => call.startsWith('images ') && call.includes(`cr.azurecr.io/rotation@${DIGEST}`)),
    'images are named by their digests'
  )
  t.notOk(calls.some((call) => call.includes('role definition create')), 'an existing role stays')
})

t.test('prints the statuses, and the addresses that the services saw', async (t) => {
  const { output } = await deploy(t, ['dev', '--yes'], { GATEWAY: await gateway(t) })
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
  const { calls, secrets } = await deploy(t, ['dev', '--yes'], { GATEWAY: await gateway(t) })
  const again = await deploy(t, ['dev', '--yes'], { GATEWAY: await gateway(t) })
  const keys = Object.values<string>(JSON.parse(secrets[0]!.slice('secrets '.length)))
  t.equal(new Set(keys).size, 5)
  t.ok(keys.every((key) => /^[\w-]{43}$/.test(key)))
  t.notOk(keys.some((key) => again.secrets.join().includes(key)))
  const all = [...keys, 'the-subscription-key']
  t.notOk(calls.some((call) => all.some((key) => call.includes(key))))
})

t.test('closes public access after a failure, and reports it', async (t) => {
  const first = '192.0.2.1/32"] -input=false -auto-approve -target'
  const { status, output, calls } = await deploy(t, ['dev', '--yes'], { FAILS: first })
  t.equal(status, 1)
  t.match(output, /npm run deploy: terraform apply failed/)
  t.match(changes(calls).at(-1), /deployer_ip_ranges=\[\]/)
})

t.test('creates the custom role if it does not exist', async (t) => {
  const { calls } = await deploy(t, ['dev', '--yes'], { ROLE_EXISTS: '', GATEWAY: await gateway(t) })
  const creation = calls.find((call) => call.startsWith('az role definition create'))
  t.match(creation, 'regenerateKey/action')
  t.match(creation, '/subscriptions/00000000-0000-0000-0000-000000000001')
})

t.test('uses existing images, and does not open public access from inside the network', async (t) => {
  const images = JSON.stringify({ patient: 'p', audit: 'a', rotation: 'r' })
  const args = ['prod', '--yes', '--inside', '--images', images]
  const { calls } = await deploy(t, args, { GATEWAY: await gateway(t) })
  t.notOk(calls.some((call) => call.startsWith('docker')))
  t.ok(calls.includes(`images ${images}`))
  t.ok(changes(calls).every((call) => call.includes('deployer_ip_ranges=[]') && call.includes('prod.tfvars')))
  t.equal(changes(calls).length, 2)
})

t.test('asks before each change, except with --yes', async (t) => {
  const { calls } = await deploy(t, ['dev'], { GATEWAY: await gateway(t) })
  const [registry, rest] = changes(calls)
  for (const change of [registry, rest]) t.notMatch(change, /-auto-approve|-input=false/)
})

t.test('opens public access to delete an environment', async (t) => {
  const { status, calls } = await deploy(t, ['dev', '--yes', '--destroy'])
  t.equal(status, 0)
  const [open, away] = changes(calls)
  t.match(open, /apply .*192\.0\.2\.1.*-target=module\.vault\.azurerm_key_vault\.main/)
  t.match(away, /destroy .*dev\.tfvars/)
})

t.test('shows the changes', async (t) => {
  const { calls } = await deploy(t, ['dev', '--plan'])
  t.equal(changes(calls).length, 1)
  t.match(changes(calls)[0], / plan .*deployer_ip_ranges=\[\] .*-refresh=false/)
})

t.test('creates only the registry, closed', async (t) => {
  const { calls } = await deploy(t, ['dev', '--yes', '--registry'])
  t.equal(changes(calls).length, 1)
  t.match(changes(calls)[0], /apply .*deployer_ip_ranges=\[\] .*-target=module\.registry$/)
})

t.test('skips the smoke test with --untried', async (t) => {
  const { status, output } = await deploy(t, ['dev', '--yes', '--untried'])
  t.equal(status, 0)
  t.notMatch(output, 'POST')
})

t.test('refuses an unknown environment', async (t) => {
  const { status, output, calls } = await deploy(t, ['nowhere'])
  t.same([status, calls], [1, []])
  t.match(output, 'there is no terraform/environments/nowhere.tfvars')
})
