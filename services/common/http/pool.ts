import { Pool } from 'undici'
import { traceCalls, type CallNames } from '../telemetry/outgoing-calls.ts'
import { telemetryEnabled } from '../telemetry/operation.ts'

/** How long a connection is kept without a call: less than any service of this system waits before it closes one. */
const KEEP_ALIVE_MS = 4_000

/**
 * Opens a pool of kept HTTP/1.1 connections to the service at `url`. Where telemetry is enabled, its calls are
 * recorded under `names`.
 */
export function openPool (url: string, names: CallNames, options: Pool.Options) {
  if (telemetryEnabled()) traceCalls(new URL(url).origin, names)
  return new Pool(url, {
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    ...options
  })
}
