// Creates, loads, finds and deletes a made-up patient through the gateway. Prints the statuses, and the addresses that
// the services saw, because the address lists must contain them.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'

const { BASE_URL, SUBSCRIPTION_KEY, RESOURCE_GROUP } = process.env
if (!BASE_URL || !SUBSCRIPTION_KEY) {
  process.stderr.write('BASE_URL and SUBSCRIPTION_KEY must be set\n')
  process.exit(1)
}

// The first call waits for services that are scaled to zero and for new access rights
const PATIENCE_MS = 90_000
const ATTEMPTS = 6

let failed = false
try {
  const created = await expect(201, 'POST', '/patient', { firstName: 'Smoke', lastName: 'Test', gender: 'unknown', dateOfBirth: '1900', postCode: '0000' })
  const { id } = created as { id: string }
  try {
    await expect(200, 'GET', '/patient/{patientId}', undefined, id)
    await expect(200, 'POST', '/patient/search', { id })
  } finally {
    await expect(204, 'DELETE', '/patient/{patientId}', undefined, id)
  }
} catch (error) {
  failed = true
  process.stderr.write(`${(error as Error).message}\n`)
}
if (RESOURCE_GROUP) await printAddresses(RESOURCE_GROUP)
process.exitCode = failed ? 1 : 0

async function expect (status: number, method: string, path: string, body?: object, id = '') {
  const headers = { 'ocp-apim-subscription-key': SUBSCRIPTION_KEY!, 'content-type': 'application/json', ...(status === 201 && { 'idempotency-key': randomUUID() }) }
  for (let attempt = 1; ; attempt++) {
    let answered: number | string
    try {
      const response = await fetch(BASE_URL + path.replace('{patientId}', id), { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE_MS) })
      answered = response.status
      process.stdout.write(`${method} ${path} ${answered}\n`)
      if (response.status === status) return status === 204 ? undefined : await response.json()
      await response.body?.cancel()
    } catch (error) {
      answered = ((error as Error).cause as { code?: string })?.code ?? (error as Error).name
      process.stdout.write(`${method} ${path} ${answered}\n`)
    }
    if (attempt === ATTEMPTS || (typeof answered === 'number' && answered < 500)) throw new Error(`${method} ${path} answered ${answered} instead of ${status}`)
    await new Promise((resolve) => setTimeout(resolve, attempt * 1_000))
  }
}

/** Reads from the logs whom the services accepted calls from (with log_level debug) and whom they refused. */
async function printAddresses (group: string) {
  for (const app of ['patient', 'audit']) {
    const lines = await logsOf(app, group)
    const addresses = new Set(lines.filter(({ msg }) => msg === 'calls come from this address').map(({ address }) => address))
    const refused = new Set(lines.filter(({ msg, lack }) => msg === 'calls refused' && lack === 'caller-address').map(({ address }) => address ?? 'an unknown address'))
    process.stdout.write(`${app}: accepts calls from ${[...addresses].join(', ') || 'unknown addresses (logged at level debug)'}; refused ${[...refused].join(', ') || 'none'}\n`)
    if (refused.size > 0) process.stdout.write(`${app}: ${app === 'audit' ? 'add them to audit_caller_ranges if they belong to the environment' : 'it accepts only the subnet of the gateway'}\n`)
  }
}

interface Line { msg?: string, address?: string, lack?: string }

function logsOf (app: string, group: string): Promise<Line[]> {
  const { promise, resolve } = Promise.withResolvers<Line[]>()
  const child = spawn('az', ['containerapp', 'logs', 'show', '--name', app, '--resource-group', group, '--type', 'console', '--tail', '300', '--format', 'text'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => { text += chunk })
  child.once('error', () => resolve([]))
  child.once('close', () => resolve(text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line.slice(line.indexOf('{')))]
    } catch {
      return []
    }
  })))
  return promise
}
