import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { Gateway } from '../import/gateway.ts'
import { Progress } from '../import/progress.ts'
import { resourcesIn } from '../import/resources.ts'
import { Stage } from '../import/stage.ts'
import { storeAll } from '../import/store.ts'
import { StartError } from '../system/state.ts'
import { invented } from './people.ts'

const CONCURRENCY = 8
const CHECKED_PATIENTS = 4
/** For gateways that require to know for whom and why. */
const CALLER = { 'x-on-behalf-of': 'npm-start', 'x-purpose-of-use': 'HTEST' }

interface Target {
  url: string
  key: string
  /** Remembers what is stored, so that nothing is stored twice. */
  file: string
  signal: AbortSignal
}

/**
 * Stores the first `count` invented patients and their test results, but for those that are stored already.
 * What was interrupted goes on the next time. If its patients are gone, all are stored again.
 *
 * @throws {StartError} the gateway cannot be reached, or refuses a patient
 */
export async function storeSample (count: number, { url, key, file, signal }: Target) {
  const gateway = new Gateway(url, key, CONCURRENCY, CALLER)
  const stage = await openStage(file, gateway)
  try {
    for (let n = 1; n <= count; n++) {
      for (const resource of resourcesIn({ text: JSON.stringify(invented(n)), place: String(n) })) {
        if ('json' in resource) stage.add(resource)
      }
    }
    stage.commit()
    const waiting = stage.countWaiting(['patient', 'test'])
    if (waiting === 0) return
    const progress = new Progress(process.stdout, 'Storing invented patients', 'records', waiting)
    const create = gateway.create.bind(gateway)
    const onDone = (done: number) => progress.add(done)
    try {
      await storeAll(stage, { create, source: 'sample', concurrency: CONCURRENCY, signal, onDone })
    } finally {
      progress.end()
    }
    const refused = stage.counts().reduce((sum, { refused }) => sum + refused, 0)
    if (refused > 0) throw new StartError(`${refused} invented records were refused`)
  } finally {
    stage.close()
    await gateway.close()
  }
}

/** The stage of the sample; a new one if none of the patients that it has is in the database. */
async function openStage (file: string, gateway: Gateway) {
  const stage = new Stage(file)
  const last = stage.lastStored(CHECKED_PATIENTS)
  const ids = await Promise.all(last.map(({ stored_id: id }) => gateway.findPatient(id!)))
  if (last.length === 0 || ids.some((id) => id !== undefined)) return stage
  stage.close()
  for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true })
  return new Stage(file, randomUUID())
}
