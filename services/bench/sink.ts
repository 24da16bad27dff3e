import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { startIngestion } from '../test/ingestion.ts'

/** Starts an ingestion endpoint that only counts bytes, on its own thread so that clients are not slowed. */
export async function startSink () {
  const worker = new Worker(new URL(import.meta.url))
  const [settings] = await once(worker, 'message') as [NodeJS.ProcessEnv]
  return {
    /** Those of a service that sends its telemetry here. */
    settings,
    async bytes () {
      worker.postMessage('bytes')
      return (await once(worker, 'message') as [number])[0]
    },
    stop: () => worker.terminate()
  }
}

if (!isMainThread) {
  const ingestion = await startIngestion({ keep: false })
  parentPort!.postMessage(ingestion.settings)
  parentPort!.on('message', () => parentPort!.postMessage(ingestion.bytes))
}
