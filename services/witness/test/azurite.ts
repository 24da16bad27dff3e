import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import type { Test } from 'tap'
import { freePorts } from '../../emulators/processes/probes.ts'
import { blobOptions, BlobStore } from '../stores/blob.ts'

const AZURITE = fileURLToPath(import.meta.resolve('azurite/dist/src/blob/main.js'))
const CONTAINERS = { state: 'state', checkpoints: 'checkpoints' }
const HOST = '127.0.0.1'
const ACCOUNT = 'witness'

/** The Blob service of Azurite on a port of its own, with the containers of a witness. */
export async function startAzurite (t: Test) {
  const [port] = await freePorts() as [number]
  const key = Buffer.alloc(32, 1).toString('base64')
  const args = [
    AZURITE, '--blobHost', HOST, '--blobPort', String(port), '--inMemoryPersistence', '--skipApiVersionCheck',
    '--disableTelemetry'
  ]
  const azurite = spawn(process.execPath, args, {
    env: { AZURITE_ACCOUNTS: `${ACCOUNT}:${key}` }, stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => { azurite.kill('SIGKILL') })
  let output = ''
  while (!output.includes('successfully listen')) output += (await once(azurite.stdout, 'data'))[0]
  azurite.stdout.resume()
  const open = () => new BlobServiceClient(
    `http://${HOST}:${port}/${ACCOUNT}`, new StorageSharedKeyCredential(ACCOUNT, key), blobOptions
  )
  for (const name of Object.values(CONTAINERS)) await open().createContainer(name)
  return {
    client: open(),
    /** A store with a client of its own. */
    store: () => new BlobStore(async () => open(), CONTAINERS),
    kill: (signal: NodeJS.Signals) => azurite.kill(signal)
  }
}
