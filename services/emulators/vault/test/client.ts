// The SDK's client of one identity, forked by a test: it reads the environment when it is loaded
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

interface Details {
  details?: { error?: { innerError?: { code: string } } }
}

async function answer (method: keyof SecretClient, args: unknown[]) {
  try {
    const call = (await client)[method] as () => unknown
    return { result: await resultOf(await Reflect.apply(call, await client, args)) }
  } catch (error) {
    const { name, message, statusCode, code, details } = error as Failure & Details
    const inner = details?.error?.innerError?.code
    return { failure: { name, message, statusCode, code, inner } satisfies Failure }
  }
}

async function resultOf (result: unknown) {
  if (!(result instanceof Object)) return result
  if (Symbol.asyncIterator in result) return Array.fromAsync(result as AsyncIterable<unknown>)
  return 'pollUntilDone' in result ? (result as { pollUntilDone: () => unknown }).pollUntilDone() : result
}
