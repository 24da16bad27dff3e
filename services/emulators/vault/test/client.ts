// The SDK's client of one identity, called by the test that forked this process: both latch what they find at start
import type { SecretClient } from '@azure/keyvault-secrets'
import { openKeyVault } from '#common/secrets/key-vault.ts'

export interface Failure {
  name: string
  message: string
  statusCode?: number
  code?: string
  inner?: string
}

const { KEY_VAULT_URI, AZURE_CLIENT_ID } = process.env
const client = openKeyVault({ KEY_VAULT_URI: KEY_VAULT_URI!, AZURE_CLIENT_ID }, 0)
let last: Promise<unknown> = client

process.once('disconnect', () => process.exit(1))

process.on('message', ({ method, args }: { method: keyof SecretClient, args: unknown[] }) => {
  last = last.then(async () => process.send!(await answer(method, args)))
})

async function answer (method: keyof SecretClient, args: unknown[]) {
  try {
    return { result: await resultOf(await Reflect.apply((await client)[method] as () => unknown, await client, args)) }
  } catch (error) {
    const { name, message, statusCode, code, details } = error as Failure & { details?: { error?: { innerError?: { code: string } } } }
    return { failure: { name, message, statusCode, code, inner: details?.error?.innerError?.code } satisfies Failure }
  }
}

async function resultOf (result: unknown) {
  if (result instanceof Object && Symbol.asyncIterator in result) return Array.fromAsync(result as AsyncIterable<unknown>)
  if (result instanceof Object && 'pollUntilDone' in result) return (result as { pollUntilDone: () => unknown }).pollUntilDone()
  return result
}
