import { parentPort } from 'node:worker_threads'
import { startIngestion } from '../test/ingestion.ts'

// An ingestion that only counts bytes, on a thread of its own, so that it takes nothing from who measures

const ingestion = await startIngestion({ keep: false })
parentPort!.postMessage(ingestion.settings)
parentPort!.on('message', () => parentPort!.postMessage(ingestion.bytes))
