import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { mongo } from '../../common/test/mongo.ts'
import { settingsOf } from './app.ts'

const { NODE_COMPILE_CACHE } = process.env
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

export interface Replica {
  process: ChildProcess
  url: string
}

/** A replica of the audit service as a process of its own, which listens. */
export async function startReplica (
  t: Test, { connection, db }: Awaited<ReturnType<typeof mongo>>
): Promise<Replica> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  const child = spawn(process.execPath, [MAIN], {
    env: {
      NODE_COMPILE_CACHE, PORT: String(port), HOST: '127.0.0.1', ...settingsOf(connection, db.databaseName)
    },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stdout!)) {
    if (line.includes('"msg":"listening"')) break
  }
  child.stdout!.resume()
  return { process: child, url: `http://127.0.0.1:${port}` }
}
