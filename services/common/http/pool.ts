import { Pool } from 'undici'
import { traceCalls, type CallNames } from '../telemetry/outgoing-calls.ts'
import { telemetryEnabled } from '../telemetry/operation.ts'

/** Shorter than the services keep idle connections, so that they never close one that is being used. */
const KEEP_ALIVE_MS = 4_000

/**
 * Opens a pool of keep-alive HTTP/1.1 connections to the service at `url`. Where telemetry is enabled, its
 * requests are recorded under `names`.
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
