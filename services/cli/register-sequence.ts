import { parseArgs } from 'node:util'
import { SettingsError } from '#common/config.ts'
import { DatabaseUnavailable } from '#common/http/problems.ts'
import { loadConfig as loadAuditConfig } from '../audit/config.ts'
import { LogDamaged } from '../audit/log/damage.ts'
import { sequence } from '../audit/sequence.ts'
import { loadConfig } from './system/config.ts'
import { actAs } from './system/identity.ts'
import { StartError } from './system/state.ts'

const USAGE = `Adds the records that the transparency log does not have to it.

npm run register:sequence -- [--adopt-unlinked]

  --adopt-unlinked  also takes in blocks that are stored without a link to a block before them
`

try {
  await main()
} catch (error) {
  const { code, message, stack } = error as NodeJS.ErrnoException
  const isExpected = [StartError, SettingsError, DatabaseUnavailable, LogDamaged]
    .some((type) => error instanceof type) || code?.startsWith?.('ERR_PARSE_ARGS')
  process.stderr.write(`npm run register:sequence: ${isExpected ? message : stack}\n`)
  process.exitCode = 1
}

async function main () {
  const { values } = parseArgs({
    options: { 'adopt-unlinked': { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } }
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  if (!process.env.KEY_VAULT_URI) await useLocalSystem()
  const config = loadAuditConfig({ LOG_LEVEL: 'error', ALLOWED_CALLERS: '127.0.0.1/32', ...process.env })
  const { size, adopted } = await sequence(config, { adoptUnlinked: values['adopt-unlinked'] })
  if (adopted > 0) process.stdout.write(`${adopted} chains taken in\n`)
  process.stdout.write(`the log has ${size} records\n`)
}

/** Acts as the audit service of the system that runs on this machine. */
async function useLocalSystem () {
  const { audit } = await actAs('audit', loadConfig(process.env).LOCAL_DIR)
  process.env.DATABASE_NAME ??= audit.database
}
