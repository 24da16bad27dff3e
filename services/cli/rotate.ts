import { SettingsError } from '#common/config.ts'
import { loadConfig } from './system/config.ts'
import { actAs } from './system/identity.ts'
import { StartError } from './system/state.ts'

// Rotates secrets in the vault at KEY_VAULT_URI or, by default, in that of the running system

try {
  if (!process.env.KEY_VAULT_URI) {
    const { keyRefreshSeconds } = await actAs('rotation', loadConfig(process.env).LOCAL_DIR)
    process.env.KEY_REFRESH_SECONDS = String(keyRefreshSeconds)
  }
  await import('../rotation/main.ts')
  if (process.argv.includes('gateway-subscription-keys') && process.exitCode === 0) {
    process.stdout.write('npm start prints the new key; the old one is accepted for the grace time\n')
  }
} catch (error) {
  if (!(error instanceof StartError || error instanceof SettingsError)) throw error
  process.stderr.write(`npm run rotate: ${error.message}; or set KEY_VAULT_URI\n`)
  process.exitCode = 1
}
