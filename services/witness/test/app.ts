import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { cosignerOf, type Signer } from '#common/transparency/notes.ts'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import type { Store } from '../stores/store.ts'

export const NAME = 'example.org/witness'
export const seed = randomBytes(32)
export const cosigner = cosignerOf(NAME, seed)

interface Options {
  store?: Store
  settings?: NodeJS.ProcessEnv
}

export const settingsOf = (logs: Signer[], more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  LOG_LEVEL: 'trace',
  CALLER_ADDRESS: 'peer',
  WITNESS_NAME: NAME,
  WITNESS_KEY: seed.toString('base64url'),
  LOGS: logs.map(({ vkey }) => vkey).join('\n'),
  ...more
})

/** The witness of the logs that `logs` sign, with a directory of its own unless there is a `store`. */
export async function witness (t: Test, logs: Signer[], { store, settings }: Options = {}) {
  const lines: string[] = []
  // t.testdir() empties the directory, so it is called for the first witness of a test only
  const env = settingsOf(logs, { STORE_DIR: settings?.STORE_DIR ?? t.testdir(), ...settings })
  const logStream = { write: (line: string) => { lines.push(line) } }
  const app = await buildApp(loadConfig(env), { logStream, ...(store && { store }) })
  t.teardown(() => app.close())
  await app.ready()
  const post = (url: string) => (payload?: string | Buffer, headers: Record<string, string> = {}) =>
    app.inject({ method: 'POST', url, payload, headers })
  return { app, add: post('/add-checkpoint'), addKey: post('/add-key'), logs: () => lines.join('') }
}
