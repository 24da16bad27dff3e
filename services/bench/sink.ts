import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { startIngestion } from '../test/ingestion.ts'

/**
 * Starts an ingestion endpoint on its own thread, so that clients are not slowed. `settings` are those of a
 * service that sends its telemetry there.
 */
export async function startSink () {
  const worker = new Worker(new URL(import.meta.url))
  const [settings] = await once(worker, 'message') as [NodeJS.ProcessEnv]
  return { settings, stop: () => worker.terminate() }
}

if (!isMainThread) parentPort!.postMessage((await startIngestion({ keep: false })).settings)
