// az, docker, git and terraform, replaced on the PATH by programs that record their arguments and answer.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'

const HERE = join(import.meta.dirname, '..')
export const DIGEST = `sha256:${'a'.repeat(64)}`
const ADDRESS = '192.0.2.1'

// At the step HANG_AT, a program waits for SIGINT, or for the file RELEASE
const PREAMBLE = `#!/bin/sh
echo "NAME $*" >> "$CALLS"
if [ "$(wc -l < "$CALLS")" = "$HANG_AT" ]; then
  trap 'echo "stopped NAME $*" >> "$CALLS"; exit 1' INT
  echo HANGING >&2
  while [ ! -e "$RELEASE" ]; do sleep 0.02; done
fi
case "NAME $*" in *"$FAILS"*)
  echo >> "$CALLS.matches"
  if [ "$FAILS_ALWAYS" ] || [ "$(wc -l < "$CALLS.matches")" = "$FAILS_NTH" ]; then exit 1; fi ;;
esac
`

const COMMANDS = {
  az: `case "$*" in
  "cosmosdb list "*) printf 'cosmos-x-audit-1\ncosmos-x-patient-1\n' ;;
  "cosmosdb show "*) echo westeurope ;;
  "cosmosdb mongodb collection list "*"--account-name cosmos-x-patient-1-r "*) printf "$RESTORED" ;;
  "cosmosdb mongodb collection list "*) printf 'a\nb\n' ;;
  "account show"*) echo 00000000-0000-0000-0000-000000000001 ;;
  "role definition list"*) echo "$ROLE_EXISTS" ;;
  "storage account network-rule list"*) echo "$ADMITTED" ;;
  *listSecrets*) echo the-subscription-key ;;
  "containerapp show --name audit "*latestRevisionName*) printf 'audit--new\n%s\n' "$AUDIT_READY" ;;
  "containerapp show --name patient "*latestRevisionName*) printf 'patient--new\npatient--new\n' ;;
  "containerapp show --name audit "*) echo audit--a1 ;;
  "containerapp show --name patient "*) echo "$PATIENT_LIVE" ;;
  "containerapp logs show --name audit"*)
    echo '2026-01-01T00:00:00Z {"level":20,"msg":"calls come from this address","address":"100.100.0.9"}'
    echo '2026-01-01T00:00:00Z {"msg":"calls refused","lack":"caller-address","address":"100.100.0.7"}' ;;
esac`,
  docker: `while [ "$1" ]; do
  if [ "$1" = --metadata-file ]; then echo '{"containerimage.digest":"${DIGEST}"}' > "$2"; fi
  shift
done`,
  git: 'echo 0123456789',
  // A plan file contains the arguments of its plan
  terraform: `case "$*" in
  *"output -raw gateway_url") printf %s "$GATEWAY" ;;
  *"output -raw gateway_id") printf %s /subscriptions/1/apim ;;
  *"output -raw registry_login_server") printf %s cr.azurecr.io ;;
  *"output -raw key_vault_name") printf %s kv ;;
  *"output -raw registry_name") printf %s cr ;;
  *"output -json resource_groups") echo '{"primary":"rg","northeurope":"rg-2"}' ;;
  *"output -raw resource_group") printf %s rg ;;
  *"state list") printf '%s\\n' $STATE ;;
  *" plan "*-out=*)
    for argument; do case "$argument" in -out=*) echo "$*" > "\${argument#-out=}" ;; esac; done
    echo "images $TF_VAR_images" >> "$RECORDS"; echo "upgrade $TF_VAR_upgrade" >> "$RECORDS"
    echo "secrets $TF_VAR_secret_values" >> "$RECORDS"
    exit "$PLANS" ;;
  *" plan "*) echo "upgrade $TF_VAR_upgrade" >> "$RECORDS" ;;
  *" apply "*)
    for argument; do :; done
    echo "applied $(cat "$argument")" >> "$RECORDS" ;;
esac`
}

/** The vault and the registry, as in a state: with a key, and as in a state from before they had one. */
export const DOORS =
  'module.vault.azurerm_key_vault.main["vault"] module.registry.azurerm_container_registry.main'

interface Options {
  env?: Record<string, string>
  /** Answers to the questions. */
  answers?: string[]
  /** Sends this once the program HANG_AT hangs. */
  signal?: NodeJS.Signals
}

/** Runs deploy.ts to its end. */
export function deploy (t: Test, args: string[], options: Options = {}) {
  return runScript(t, 'deploy.ts', args, options)
}

/** Runs a script of terraform/ to its end. */
export async function runScript (
  t: Test, script: string, args: string[], { env = {}, answers = [], signal }: Options = {}
) {
  const directory = t.testdir()
  for (const [name, script] of Object.entries(COMMANDS)) {
    writeFileSync(join(directory, name), `${PREAMBLE.replaceAll('NAME', name)}${script}\n`)
    chmodSync(join(directory, name), 0o755)
  }
  const [calls, records, release] = ['calls', 'records', 'release'].map((name) => join(directory, name))
  const child = spawn(process.execPath, [join(HERE, script), ...args], {
    env: {
      ...process.env,
      PATH: `${directory}${delimiter}${process.env.PATH}`,
      CALLS: calls,
      RECORDS: records,
      RELEASE: release,
      FAILS: 'nothing fails',
      FAILS_ALWAYS: '',
      FAILS_NTH: '1',
      HANG_AT: '',
      RESTORED: 'a\\nb\\n',
      PATIENT_LIVE: 'patient--p1',
      AUDIT_READY: 'audit--new',
      PLANS: '2',
      ROLE_EXISTS: 'yes',
      STATE: DOORS,
      DEPLOYER_IP_RANGES: `${ADDRESS}/32`,
      STATE_RESOURCE_GROUP: 'rg-state',
      STATE_STORAGE_ACCOUNT: '',
      ADMITTED: '',
      DEPLOY_WAIT_MS: '1',
      ARM_SUBSCRIPTION_ID: '00000000-0000-0000-0000-000000000001',
      ...env
    }
  })
  child.stdin.end(answers.map((answer) => `${answer}\n`).join(''))
  let output = ''
  const note = (text: string) => { output += text }
  child.stdout.setEncoding('utf8').on('data', note)
  child.stderr.setEncoding('utf8').on('data', note)
  const ended = once(child, 'close')
  if (signal) await interrupt(child, () => output, signal, release!)
  const [status] = await ended
  return { status: status as number, output, calls: linesOf(calls!), records: linesOf(records!) }
}

/** While it closes what was opened, a program is not interrupted: then it is released. */
async function interrupt (
  child: ChildProcess, output: () => string, signal: NodeJS.Signals, release: string
) {
  const seen = async (text: string) => {
    while (!output().includes(text) && child.exitCode === null && child.signalCode === null) {
      await Promise.race([once(child.stderr!, 'data'), once(child, 'close')])
    }
  }
  await seen('HANGING')
  child.kill(signal)
  if (signal === 'SIGKILL') return writeFileSync(release, '')
  await Promise.race([seen('stopping'), seen('please wait')])
  if (output().includes('please wait')) writeFileSync(release, '')
}

function linesOf (file: string) {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
}

/** What was applied: the arguments of each plan. */
export function applied (records: string[]) {
  return records.filter((line) => line.startsWith('applied ')).map((line) => line.slice('applied '.length))
}

/** What was left open or left over, in words; empty: nothing. */
export function leftOpen ({ calls: all, records }: { calls: string[], records: string[] }) {
  const calls = all.filter((call) => !call.startsWith('stopped '))
  const problems: string[] = []
  const opening = /-var=deployer_ip_ranges=\["/
  // An interrupted apply can have opened the doors too
  const attempts = calls.some((call) => /^terraform .* apply /.test(call))
  const last = applied(records).at(-1)
  if (attempts && last && opening.test(last)) problems.push('vault and registry')
  const added = calls.filter((call) => call.includes('network-rule add')).length
  const removed = calls.filter((call) => call.includes('network-rule remove')).length
  if (added > removed) problems.push('the state')
  const puts = calls.filter((call) => /rest --method put .*subscriptions\/smoke/.test(call)).length
  const deletes = calls.filter((call) => /rest --method delete .*subscriptions\/smoke/.test(call)).length
  if (puts > deletes) problems.push('the subscription of the smoke test')
  return problems
}
