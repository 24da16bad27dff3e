import { once } from 'node:events'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { FastifyBaseLogger } from 'fastify'
import type { Static, TObject } from 'typebox'
import type { TelemetrySettings } from '../config.ts'
import { collectMetrics, recordMetric, takeMetrics, type MetricValues } from './metrics.ts'
import { setExporter, type TelemetryItem } from './operation.ts'

export type TelemetryConfig = Static<TObject<typeof TelemetrySettings>>

/** The options of the exporter's thread. */
export interface ExporterOptions {
  role: string
  connectionString: string
  /** Whether ingestion requires tokens of a managed identity. */
  authenticated: boolean
  /** The client id of that identity. */
  clientId?: string
}

/** Items as JSON, which is cheaper to send to a thread than objects, and metrics. */
export interface Batch {
  items: string
  metrics: MetricValues[]
}

const BATCH_ITEMS = 512
const MAX_BATCHES = 2
/** Items that are queued besides the batches that are being exported. */
const MAX_QUEUED = 2_048
const EXPORT_INTERVAL_MS = 1_000
const LOG_INTERVAL_MS = 60_000
const CLOSING_MS = 2_000
const RESTART_MS = 30_000
/** Limits of the exporter's thread. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 16 }

/**
 * Exports the operations and metrics of this process to Application Insights.
 *
 * The SDK runs on a worker thread with limited memory, so that its start, exports and failures do not affect
 * requests. Items that exceed the queue or that ingestion refuses are dropped and counted.
 */
export class Telemetry {
  #log?: FastifyBaseLogger
  #options: ExporterOptions
  #queue: TelemetryItem[] = []
  #worker: Worker | undefined
  /** The number of items in each batch that is being exported. */
  #exporting: number[] = []
  #lost = 0
  #lostLogged = -Infinity
  #timer: NodeJS.Timeout
  /** Until the exporter is started. */
  #delay: NodeJS.Timeout | undefined
  #closing = false

  constructor (options: ExporterOptions, sampling: number) {
    this.#options = options
    collectMetrics(true)
    setExporter({ sampling, export: (item) => this.#enqueue(item) })
    this.#timer = setInterval(() => this.#tick(), EXPORT_INTERVAL_MS).unref()
  }

  /**
   * Starts the exporter.
   *
   * @param delayMs how long it waits unless a whole batch is queued or telemetry is closed before: loading
   *   the SDK takes half a second of a processor, which a service that has just started needs
   */
  start (log: FastifyBaseLogger, delayMs = 0) {
    this.#log = log
    if (delayMs === 0) this.#startExporter()
    else this.#delay = setTimeout(() => this.#startExporter(), delayMs).unref()
  }

  #startExporter () {
    clearTimeout(this.#delay)
    this.#delay = undefined
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs'
    const worker = new Worker(new URL(`./exporter.${extension}`, import.meta.url), {
      workerData: this.#options,
      env: environment(this.#options),
      resourceLimits: RESOURCE_LIMITS,
      stdout: true,
      stderr: true
    })
    this.#worker = worker
    worker.unref()
    // The SDK prints nothing that the export results do not say
    worker.stdout.resume()
    worker.stderr.resume()
    worker.on('message', (lost: number) => this.#onResult(lost))
    worker.on('error', (err) => this.#log?.warn({ err }, 'the telemetry exporter failed'))
    worker.once('exit', () => {
      this.#worker = undefined
      for (const items of this.#exporting.splice(0)) this.#lose(items)
      if (!this.#closing) setTimeout(() => this.#startExporter(), RESTART_MS).unref()
    })
  }

  /** Exports what is queued; gives up after 2 s. */
  async close () {
    this.#closing = true
    clearInterval(this.#timer)
    setExporter(undefined)
    if (this.#delay) this.#startExporter()
    const worker = this.#worker
    if (worker) {
      const ended = once(worker, 'exit')
      worker.ref()
      this.#send(Infinity)
      worker.postMessage('close')
      await Promise.race([ended, sleep(CLOSING_MS, undefined, { ref: false })])
      await worker.terminate()
    }
    collectMetrics(false)
    this.#logLost()
  }

  #enqueue (item: TelemetryItem) {
    if (this.#queue.length >= MAX_QUEUED) return this.#lose(1)
    this.#queue.push(item)
    if (this.#queue.length < BATCH_ITEMS) return
    if (this.#delay) this.#startExporter()
    this.#send()
  }

  #tick () {
    this.#send()
    if (performance.now() - this.#lostLogged >= LOG_INTERVAL_MS) this.#logLost()
  }

  #logLost () {
    if (this.#lost === 0) return
    this.#log?.warn({ lost: this.#lost }, 'telemetry was lost')
    this.#lost = 0
    this.#lostLogged = performance.now()
  }

  #send (maxBatches = MAX_BATCHES) {
    while (this.#worker && this.#exporting.length < maxBatches) {
      const items = this.#queue.splice(0, BATCH_ITEMS)
      const metrics = takeMetrics()
      if (items.length + metrics.length === 0) return
      this.#exporting.push(items.length)
      this.#worker.postMessage({ items: JSON.stringify(items), metrics } satisfies Batch)
    }
  }

  #onResult (lost: number) {
    this.#exporting.shift()
    this.#lose(lost)
    if (this.#queue.length >= BATCH_ITEMS) this.#send()
  }

  #lose (items: number) {
    if (items === 0) return
    this.#lost += items
    recordMetric('telemetry.lost', items)
  }
}

/** The settings of the SDK that exist only as environment variables. */
function environment ({ role, connectionString }: ExporterOptions): NodeJS.ProcessEnv {
  const { IDENTITY_ENDPOINT = 'http://localhost', HTTPS_PROXY } = process.env
  const [, ingestion = 'https://localhost'] = /IngestionEndpoint=([^;]+)/i.exec(connectionString) ?? []
  return {
    ...process.env,
    // The SDK's telemetry about itself, which goes to Microsoft
    APPLICATION_INSIGHTS_NO_STATSBEAT: '1',
    APPLICATIONINSIGHTS_SDKSTATS_DISABLED: 'true',
    // The SDK fetches settings from a host of Microsoft's; only an unreachable proxy prevents that
    HTTPS_PROXY: HTTPS_PROXY ?? 'http://127.0.0.1:9',
    NO_PROXY: HTTPS_PROXY
      ? process.env.NO_PROXY
      : [ingestion, IDENTITY_ENDPOINT].map((url) => new URL(url).hostname).join(),
    // No ids or addresses of the machine
    OTEL_NODE_RESOURCE_DETECTORS: 'env',
    OTEL_SERVICE_NAME: role,
    // Otherwise the SDK looks it up for each item
    OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${encodeURIComponent(hostname())}`,
    // So that a batch is exported only when it is flushed, and the result is known
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: String(2 * BATCH_ITEMS)
  }
}
