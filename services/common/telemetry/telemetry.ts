import { once } from 'node:events'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { FastifyBaseLogger } from 'fastify'
import { collectMetrics, recordMetric, takeMetrics, type MetricValues } from './metrics.ts'
import { setExporter, type TelemetryItem } from './operation.ts'

export interface TelemetryConfig {
  APPLICATIONINSIGHTS_CONNECTION_STRING?: string
  TELEMETRY_SAMPLING: number
  TELEMETRY_AUTHENTICATION: 'none' | 'identity'
}

/** What the exporter is started with. */
export interface ExporterOptions {
  role: string
  connectionString: string
  /** Of the managed identity that ingestion asks for, where it asks. */
  clientId?: string
  authenticated: boolean
}

/** A part of what is told, as JSON: copying it costs less than copying its objects. */
export interface Batch {
  items: string
  measured: MetricValues[]
}

/** The exporter's answer to a parcel. */
export interface ExportResult {
  lost: number
}

const BATCH_ITEMS = 512
const MAX_BATCHES = 2
/** Besides those that are on their way. */
const MAX_QUEUED = 2_048
const EVERY_MS = 1_000
const LOST_EVERY_MS = 60_000
const CLOSING_MS = 2_000
const RESTART_MS = 30_000
/** What the exporter and the SDK in it may take. */
const HEAP_MB = 192
const YOUNG_MB = 16

/**
 * Tells Application Insights of every operation and measure of this process.
 *
 * The SDK works on a thread of its own: neither its start nor its exports hold up a request, its failures stay there,
 * and its memory has a bound. Items that find no room, or that ingestion does not take, are counted and dropped.
 */
export class Telemetry {
  #log?: FastifyBaseLogger
  #options: ExporterOptions
  #queue: TelemetryItem[] = []
  #worker: Worker | undefined
  /** How many items each parcel has that is on its way. */
  #sending: number[] = []
  #lost = 0
  #lostTold = -Infinity
  #timer: NodeJS.Timeout
  #closing = false

  constructor (options: ExporterOptions, sampling: number) {
    this.#options = options
    collectMetrics(true)
    setExporter({ sampling, export: (item) => this.#take(item) })
    this.#timer = setInterval(() => this.#tick(), EVERY_MS).unref()
  }

  /** Has the exporter start. */
  start (log: FastifyBaseLogger) {
    this.#log = log
    this.#worker = new Worker(new URL(import.meta.url.endsWith('.ts') ? './exporter.ts' : './exporter.mjs', import.meta.url), {
      workerData: this.#options,
      env: environment(this.#options),
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: YOUNG_MB },
      stdout: true,
      stderr: true
    })
    const worker = this.#worker
    worker.unref()
    // What the SDK prints says nothing that its receipts do not
    worker.stdout.resume()
    worker.stderr.resume()
    worker.on('message', ({ lost }: ExportResult) => this.#arrived(lost))
    worker.on('error', (err) => this.#log?.warn({ err }, 'the exporter of telemetry failed'))
    worker.once('exit', () => {
      this.#worker = undefined
      for (const items of this.#sending.splice(0)) this.#lose(items)
      if (!this.#closing) setTimeout(() => this.start(log), RESTART_MS).unref()
    })
  }

  /** Tells what is left, as far as that goes in 2 s. */
  async close () {
    this.#closing = true
    clearInterval(this.#timer)
    setExporter(undefined)
    if (this.#worker) {
      const worker = this.#worker
      const ended = once(worker, 'exit')
      worker.ref()
      this.#send(Infinity)
      worker.postMessage('close')
      await Promise.race([ended, sleep(CLOSING_MS, undefined, { ref: false })])
      await worker.terminate()
    }
    collectMetrics(false)
    if (this.#lost > 0) this.#log?.warn({ lost: this.#lost }, 'telemetry was lost')
  }

  #take (item: TelemetryItem) {
    if (this.#queue.length >= MAX_QUEUED) return this.#lose(1)
    this.#queue.push(item)
    if (this.#queue.length >= BATCH_ITEMS) this.#send()
  }

  #tick () {
    this.#send()
    if (this.#lost === 0 || performance.now() - this.#lostTold < LOST_EVERY_MS) return
    this.#log?.warn({ lost: this.#lost }, 'telemetry was lost')
    this.#lost = 0
    this.#lostTold = performance.now()
  }

  #send (most = MAX_BATCHES) {
    while (this.#worker && this.#sending.length < most) {
      const items = this.#queue.splice(0, BATCH_ITEMS)
      const measured = takeMetrics()
      if (items.length + measured.length === 0) return
      this.#sending.push(items.length)
      const parcel: Batch = { items: JSON.stringify(items), measured }
      this.#worker.postMessage(parcel)
    }
  }

  #arrived (lost: number) {
    this.#sending.shift()
    if (lost > 0) this.#lose(lost)
    if (this.#queue.length >= BATCH_ITEMS) this.#send()
  }

  #lose (items: number) {
    this.#lost += items
    recordMetric('telemetry.lost', items)
  }
}

/** The settings of the SDK that are to be had as variables alone. */
function environment ({ role, connectionString }: ExporterOptions): NodeJS.ProcessEnv {
  const { IDENTITY_ENDPOINT = 'http://localhost', HTTPS_PROXY } = process.env
  const [, ingestion = 'https://localhost'] = /IngestionEndpoint=([^;]+)/i.exec(connectionString) ?? []
  return {
    ...process.env,
    // Telemetry of the SDK about itself, to others
    APPLICATION_INSIGHTS_NO_STATSBEAT: '1',
    APPLICATIONINSIGHTS_SDKSTATS_DISABLED: 'true',
    // The SDK asks a host of its maker's for settings, and nothing turns that off: it must not get there
    HTTPS_PROXY: HTTPS_PROXY ?? 'http://127.0.0.1:9',
    NO_PROXY: HTTPS_PROXY ? process.env.NO_PROXY : [ingestion, IDENTITY_ENDPOINT].map((url) => new URL(url).hostname).join(),
    // No ids and addresses of the machine
    OTEL_NODE_RESOURCE_DETECTORS: 'env',
    OTEL_SERVICE_NAME: role,
    // Else the SDK asks the system for it once an item
    OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${encodeURIComponent(hostname())}`,
    // A parcel is exported as a whole when it comes, and not before: then it is known what became of it
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: String(2 * BATCH_ITEMS)
  }
}
