import { parseArgs } from 'node:util'
import { SettingsError } from '#common/config.ts'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { loadConfig } from './config.ts'
import { RotationError } from './renewal.ts'
import { allNames, Renewals, secretNames } from './renewals.ts'
import { rotate, type Rotation } from './rotate.ts'

const USAGE = `Rotates keys and connection strings, while requests go on.

npm run rotate -- NAME… | --all [--leaked | --older-than DAYS]

  NAME               ${secretNames.join('\n                     ')}
  --all              ${allNames.join(', ')}
  --leaked           others know the superseded version: it ends now, and the new one is active at once
  --older-than DAYS  only what is older than that, as a job that runs every day needs it
`

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`npm run rotate: ${reasonOf(error)}\n`)
  process.exitCode = 1
}

async function main () {
  const { values: { all, leaked, 'older-than': olderThan = '0', help }, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      all: { type: 'boolean', default: false },
      leaked: { type: 'boolean', default: false },
      'older-than': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  const names = all ? allNames : [...new Set(positionals)]
  if (help || names.length === 0 || (all && positionals.length > 0)) {
    process[help ? 'stdout' : 'stderr'].write(USAGE)
    return help ? 0 : 1
  }
  const unknown = names.filter((name) => !secretNames.includes(name))
  if (unknown.length > 0) throw new RotationError(`${unknown.join(', ')} cannot be rotated; what can: ${secretNames.join(', ')}`)
  if (!/^\d{1,4}(\.\d+)?$/.test(olderThan)) throw new RotationError('--older-than takes a number of days')
  if (leaked && Number(olderThan) > 0) throw new RotationError('--leaked and --older-than do not go together')

  const config = loadConfig(process.env)
  const vault = await openKeyVault(config)
  const renewals = new Renewals(vault, config)
  const options = { refreshSeconds: config.KEY_REFRESH_SECONDS, graceSeconds: config.KEY_GRACE_SECONDS, leaked, olderThanDays: Number(olderThan) }
  let failed = 0
  for (const name of names) {
    try {
      process.stdout.write(`${describe(await rotate(vault, name, await renewals.of(name), options))}\n`)
    } catch (error) {
      failed++
      process.stderr.write(`${name}: ${reasonOf(error)}\n`)
    }
  }
  await renewals.close()
  return failed > 0 ? 1 : 0
}

function describe ({ secret, version, added, activeOn, superseded }: Rotation) {
  const pending = activeOn > new Date()
  const active = pending ? `active from ${activeOn.toISOString()}` : 'active now'
  const ends = superseded.map(({ version, expiresOn }) => `; ${version} ${expiresOn > new Date() ? `is accepted until ${expiresOn.toISOString()}` : 'is refused'}`)
  return `${secret}: ${version} ${added ? 'added' : pending ? 'is being rotated in already' : 'is not due'}, ${active}${ends.join('')}`
}

/** What went wrong, without what could quote a value: other errors are told by their kind alone. */
function reasonOf (error: unknown) {
  const { name, message, code, statusCode } = error as Error & { code?: string, statusCode?: number }
  const expected = error instanceof RotationError || error instanceof SettingsError || code?.startsWith('ERR_PARSE_ARGS')
  if (expected) return message
  if (statusCode) return `the vault refuses it (${statusCode} ${code})`
  if (name === 'RestError') return `the vault does not answer (${code})`
  return `${name}${code ? ` (${code})` : ''}`
}
