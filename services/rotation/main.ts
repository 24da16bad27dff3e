import { parseArgs } from 'node:util'
import { SettingsError } from '#common/config.ts'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { loadConfig } from './config.ts'
import { rotate, type Rotation } from './rotate.ts'
import { allNames, openStrategies, secretNames } from './strategies.ts'
import { NothingToRotate, RotationError } from './strategy.ts'

const USAGE = `Rotates keys and connection strings without downtime.

npm run rotate -- NAME… | --all [--leaked | --older-than DAYS]

  NAME               ${secretNames.join('\n                     ')}
  --all              every secret that all deployments have and no client holds:
                     ${allNames.join(', ')}
  --leaked           compromised: revoke the superseded versions immediately; the new one is active at once
  --older-than DAYS  rotate only secrets that are older, for a job that runs every day
`

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`npm run rotate: ${reasonOf(error)}\n`)
  process.exitCode = 1
}

async function main () {
  const { values: { all, leaked = false, 'older-than': olderThan = '0', help }, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      all: { type: 'boolean' },
      leaked: { type: 'boolean' },
      'older-than': { type: 'string' },
      help: { type: 'boolean', short: 'h' }
    }
  })
  const names = all ? allNames : [...new Set(positionals)]
  if (help || names.length === 0 || (all && positionals.length > 0)) {
    process[help ? 'stdout' : 'stderr'].write(USAGE)
    return help ? 0 : 1
  }
  const unknown = names.filter((name) => !secretNames.includes(name))
  if (unknown.length > 0) {
    throw new RotationError(`${unknown.join(', ')} cannot be rotated; choose from ${secretNames.join(', ')}`)
  }
  if (!/^\d{1,4}(\.\d+)?$/.test(olderThan)) throw new RotationError('--older-than takes a number of days')
  if (leaked && Number(olderThan) > 0) throw new RotationError('--leaked and --older-than exclude each other')
  return await rotateAll(names, leaked, Number(olderThan))
}

/** Rotates each secret, whether or not others fail. Returns the exit code. */
async function rotateAll (names: string[], leaked: boolean, olderThanDays: number) {
  const config = loadConfig(process.env)
  const { KEY_REFRESH_SECONDS: refreshSeconds, KEY_GRACE_SECONDS: graceSeconds } = config
  const options = { refreshSeconds, graceSeconds, leaked, olderThanDays }
  const vault = await openKeyVault(config)
  const strategies = openStrategies(vault, config)
  let exitCode = 0
  for (const name of names) {
    try {
      const rotation = await rotate(vault, name, await strategies.find(name), options)
      process.stdout.write(`${describe(rotation)}\n`)
    } catch (error) {
      const isFailure = !(error instanceof NothingToRotate)
      if (isFailure) exitCode = 1
      process[isFailure ? 'stderr' : 'stdout'].write(`${name}: ${reasonOf(error)}\n`)
    }
  }
  await strategies.close()
  return exitCode
}

function describe ({ secret, version, added, activeOn, superseded }: Rotation) {
  const pending = activeOn > new Date()
  const state = added ? 'added' : pending ? 'is not active yet' : 'is not due'
  const active = pending ? `active from ${activeOn.toISOString()}` : 'active now'
  const expiries = superseded.map(({ version, expiresOn }) =>
    `; ${version} ${expiresOn > new Date() ? `is accepted until ${expiresOn.toISOString()}` : 'is refused'}`)
  return `${secret}: ${version} ${state}, ${active}${expiries.join('')}`
}

/** Why a rotation failed. Messages of other errors could quote a value, so only their codes are printed. */
function reasonOf (error: unknown) {
  const { name, message, code, statusCode } = error as Error & { code?: string, statusCode?: number }
  if (error instanceof RotationError || error instanceof SettingsError) return message
  if (code?.startsWith('ERR_PARSE_ARGS')) return message
  if (statusCode) return `the vault refuses the request (${statusCode} ${code})`
  if (name === 'RestError') return `the vault does not answer (${code})`
  return `${name}${code ? ` (${code})` : ''}`
}
