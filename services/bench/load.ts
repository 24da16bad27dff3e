import { createHistogram } from 'node:perf_hooks'
import autocannon, { type Client, type Options } from 'autocannon'

/** A patient with the required properties only. */
export const SMALL_PATIENT =
  JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' })

export interface Call {
  method: 'GET' | 'POST' | 'PUT'
  path: string
  body?: string
  /** Any other status fails the run. */
  expected: number
}

/** Where requests go, and the headers that all of them have. */
export interface Target {
  baseUrl: string
  headers: Record<string, string>
}

/**
 * Sends calls for `ms` over `connections`, one after the other on each, and waits for the last responses.
 * Returned durations are in ms.
 *
 * @throws where a connection fails or a response has another status than expected
 */
export async function load ({ baseUrl, headers }: Target, connections: number, ms: number, next: () => Call) {
  const { expected } = next()
  const requests: Options['requests'] = [{
    headers: { 'content-type': 'application/json', ...headers },
    setupRequest (request) {
      const { method, path, body } = next()
      return { ...request, method, path, body }
    }
  }]
  // autocannon's own histogram is of whole milliseconds; this one is of microseconds
  const latencies = createHistogram({ figures: 4 })
  const connected = new WeakSet<Client>()
  const failures: unknown[] = []
  const began = performance.now()
  let count = 0
  let ended = began

  // Its duration is a bound only: ending by it would cut off the requests that are under way
  const options: Options = { url: baseUrl, connections, duration: ms / 1_000 + 10, sampleInt: 20, requests }
  const { promise: done, resolve, reject } = Promise.withResolvers<void>()
  const run = autocannon(options, (error) => error ? reject(error) : resolve())
  run.on('reqError', (error) => failures.push(error))
  run.on('response', (client: Client & { responseMax?: number }, status, _bytes, duration) => {
    ended = performance.now()
    if (status !== expected) failures.push(new Error(`expected status ${expected}, got ${status}`))
    // The first one includes the time to connect
    if (connected.has(client)) latencies.record(Math.max(1, Math.round(duration * 1_000)))
    connected.add(client)
    count++
    if (ended - began > ms) client.responseMax = 1
  })
  await done
  if (failures.length > 0) throw failures[0]
  const [p50, p99] = [latencies.percentile(50) / 1_000, latencies.percentile(99) / 1_000]
  return { count, perSecond: count / (ended - began) * 1_000, p50, p99 }
}
