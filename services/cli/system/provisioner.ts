import { once } from 'node:events'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { provision } from './provision.ts'
import { StartError } from './state.ts'

// The process of start.ts that fills the vault as its deployer. It gets connection strings over IPC: other
// processes could read them in its environment.

/** The result of the process, or why it failed. */
export type Provisioned = { subscriptionKey: string } | { problem: string }

process.channel!.ref()

try {
  const { KEY_VAULT_URI, AZURE_CLIENT_ID } = process.env
  const opening = openKeyVault({ KEY_VAULT_URI: KEY_VAULT_URI!, AZURE_CLIENT_ID })
  const [vault, [wanted]] = await Promise.all([opening, once(process, 'message')])
  process.send!({ subscriptionKey: await provision(vault, wanted) } satisfies Provisioned)
} catch (error) {
  if (!(error instanceof StartError)) throw error
  process.send!({ problem: error.message } satisfies Provisioned)
}
process.disconnect!()
