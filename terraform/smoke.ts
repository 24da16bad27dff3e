// Creates, loads, finds and deletes a made-up patient through the gateway. Prints the statuses, and the
// addresses that the services saw, because the address lists must contain them.
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const { BASE_URL, SUBSCRIPTION_KEY, RESOURCE_GROUP } = process.env
if (!BASE_URL || !SUBSCRIPTION_KEY) {
  process.stderr.write('BASE_URL and SUBSCRIPTION_KEY must be set\n')
  process.exit(1)
}

// The first call waits for services that are scaled to zero and for new access rights
const TIMEOUT_MS = 90_000
const ATTEMPTS = 6

const PATIENT = {
  firstName: 'Smoke', lastName: 'Test', gender: 'unknown', dateOfBirth: '1900', postCode: '0000'
}

try {
  const { id } = await expect(201, 'POST', '/patient', PATIENT)
  try {
    await expect(200, 'GET', '/patient/{patientId}', undefined, id)
    await expect(200, 'POST', '/patient/search', { id })
  } finally {
    await expect(204, 'DELETE', '/patient/{patientId}', undefined, id)
  }
} catch (error) {
  process.exitCode = 1
  process.stderr.write(`${(error as Error).message}\n`)
}
if (RESOURCE_GROUP) await printAddresses(RESOURCE_GROUP)

async function expect (expected: number, method: string, path: string, body?: object, id = '') {
  const headers = {
    'ocp-apim-subscription-key': SUBSCRIPTION_KEY!,
    'content-type': 'application/json',
    ...(expected === 201 && { 'idempotency-key': randomUUID() })
  }
  const url = BASE_URL + path.replace('{patientId}', id)
  for (let attempt = 1; ; attempt++) {
    let status: number | string
    let text = ''
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS)
      const response = await fetch(url, { method, headers, body: body && JSON.stringify(body), signal })
      status = response.status
      text = await response.text()
    } catch (error) {
      const { name, cause } = error as Error & { cause?: { code?: string } }
      status = cause?.code ?? name
    }
    process.stdout.write(`${method} ${path} ${status}\n`)
    if (status === expected) return text === '' ? undefined : JSON.parse(text)
    if (attempt === ATTEMPTS || (typeof status === 'number' && status < 500)) {
      throw new Error(`${method} ${path} answered ${status} instead of ${expected}`)
    }
    await sleep(attempt * 1_000)
  }
}

/** Prints from which addresses each service accepted calls (logged at level debug) and refused calls. */
async function printAddresses (group: string) {
  for (const app of ['patient', 'audit']) {
    const lines = await logsOf(app, group)
    const listOf = (wanted: (line: Line) => boolean) =>
      [...new Set(lines.filter(wanted).map(({ address = 'an unknown address' }) => address))].join(', ')
    const accepted = listOf(({ msg }) => msg === 'calls come from this address')
    const refused = listOf(({ msg, lack }) => msg === 'calls refused' && lack === 'caller-address')
    const from = accepted || 'unknown addresses (logged at level debug)'
    process.stdout.write(`${app}: accepts calls from ${from}; refused ${refused || 'none'}\n`)
    if (!refused) continue
    process.stdout.write(app === 'audit'
      ? 'audit: add them to register.caller_ranges if they belong to the environment\n'
      : 'patient: it accepts only the subnet of the gateway\n')
  }
}

interface Line { msg?: string, address?: string, lack?: string }

/** The last log lines of an app; none if they cannot be read. */
async function logsOf (app: string, group: string): Promise<Line[]> {
  const source = ['--name', app, '--resource-group', group, '--type', 'console']
  const args = ['containerapp', 'logs', 'show', ...source, '--tail', '300', '--format', 'text']
  const { stdout } = await promisify(execFile)('az', args)
    .catch(() => ({ stdout: '' }))
  return stdout.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line.slice(line.indexOf('{')))]
    } catch {
      return []
    }
  })
}
