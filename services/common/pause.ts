import { setTimeout as sleep } from 'node:timers/promises'

/** Waits `ms`, or until `signal` is aborted. It does not keep the process running. */
export async function pause (ms: number, signal: AbortSignal) {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
}
