import { parentPort, workerData } from 'node:worker_threads'
import { metrics, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type ProxyTracerProvider } from '@opentelemetry/api'
import { logs, SeverityNumber } from '@opentelemetry/api-logs'
import applicationinsights from 'applicationinsights'
import { azureCredential } from '../secrets/azure-credential.ts'
import { metricDefinitions, type MetricValues } from './metrics.ts'
import type { Attributes, RecordedException, TelemetryItem, Recorded } from './operation.ts'
import type { ExporterOptions, Batch, ExportResult } from './telemetry.ts'

// The thread of the SDK: takes parcels of what the process tells, and answers each when ingestion has it

const { role, connectionString, authenticated, clientId } = workerData as ExporterOptions
const EXPORT_MS = 5_000
const none = { enabled: false }

applicationinsights.useAzureMonitor({
  // The process decides what is told, for it knows how an operation ended
  tracesPerSecond: 0,
  samplingRatio: 1,
  enableLiveMetrics: false,
  // Ingestion makes these of the requests themselves
  enableStandardMetrics: false,
  enablePerformanceCounters: false,
  // It would swallow unhandled rejections
  enableAutoCollectExceptions: false,
  azureMonitorExporterOptions: {
    connectionString,
    credential: authenticated ? await azureCredential(clientId) : undefined,
    // Telemetry is not to lie on a disk
    disableOfflineStorage: true,
    retryOptions: { maxRetries: 0 },
    additionalPolicies: [{ position: 'perRetry', policy: { name: 'timeout', sendRequest: (request, next) => next(Object.assign(request, { timeout: EXPORT_MS })) } }]
  },
  // Operations are noted where they happen: nothing is patched
  instrumentationOptions: { http: none, mongoDb: none, azureSdk: none, mySql: none, postgreSql: none, redis: none, redis4: none, bunyan: none, winston: none }
})

const tracer = trace.getTracer(role)
const logger = logs.getLogger(role)
const meter = metrics.getMeter(role)
const spans = (trace.getTracerProvider() as ProxyTracerProvider).getDelegate() as unknown as Flushed
const defects = logs.getLoggerProvider() as unknown as Flushed

interface Flushed {
  forceFlush: () => Promise<void>
}

/** Names of attributes that leave: of any other an export knows nothing. */
const ALLOWED: ReadonlyArray<keyof Attributes> = [
  'http.request.method', 'http.route', 'http.response.status_code', 'db.system.name', 'db.namespace', 'db.collection.name',
  'db.operation.name', 'error.type', 'server.address', 'batch.size'
]

const instruments = Object.fromEntries(Object.entries(metricDefinitions).map(([name, { kind, unit }]) => {
  if (kind === 'gauge') {
    const gauge = meter.createGauge(name, { unit })
    return [name, (value: number, dimensions: MetricValues['dimensions']) => gauge.record(value, dimensions)]
  }
  if (kind === 'counter') {
    const counter = meter.createCounter(name, { unit })
    return [name, (value: number, dimensions: MetricValues['dimensions']) => counter.add(value, dimensions)]
  }
  const histogram = meter.createHistogram(name, { unit })
  return [name, (value: number, dimensions: MetricValues['dimensions']) => histogram.record(value, dimensions)]
}))

parentPort!.on('message', async (message: Batch | 'close') => {
  if (message === 'close') return close()
  for (const { name, dimensions, values } of message.measured) {
    for (const value of values) instruments[name]!(value, dimensions)
  }
  const items: TelemetryItem[] = JSON.parse(message.items)
  const requestsAndCalls = items.filter((item) => item.kind !== 'defect')
  for (const item of requestsAndCalls) end(item)
  for (const item of items) if (item.kind === 'defect') log(item)
  const lost = await flushed(spans) ? 0 : requestsAndCalls.length
  const lostDefects = items.length === requestsAndCalls.length || await flushed(defects) ? 0 : items.length - requestsAndCalls.length
  answer({ lost: lost + lostDefects })
})

function answer (receipt: ExportResult) {
  parentPort!.postMessage(receipt)
}

async function close () {
  // Metrics of the last minute go out with it; what fails now is known to nobody
  await applicationinsights.shutdownAzureMonitor().catch(() => {})
  process.exit()
}

async function flushed (provider: Flushed) {
  try {
    await provider.forceFlush()
    return true
  } catch {
    return false
  }
}

function end ({ kind, name, traceId, id, parentId, start, ms, failed, attributes, operation, rate }: Recorded & TelemetryItem) {
  const span = tracer.startSpan(name, {
    kind: kind === 'request' ? SpanKind.SERVER : SpanKind.CLIENT,
    startTime: start,
    attributes: {
      ...allowed(attributes),
      ...(kind === 'request' ? { 'url.scheme': 'http', 'server.address': role, 'url.path': attributes['http.route'] } : undefined),
      ...(rate < 100 ? { 'microsoft.sample_rate': rate } : undefined),
      'ai.operation.name': operation
    }
  }, parentId ? contextOf(traceId, parentId) : ROOT_CONTEXT)
  // Those who were called know it by its id already
  Object.assign(span.spanContext(), { traceId, spanId: id })
  if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
  span.end(start + ms)
}

function log ({ traceId, parentId, start, type, stack = '' }: RecordedException & TelemetryItem) {
  logger.emit({
    timestamp: start,
    severityNumber: SeverityNumber.ERROR,
    attributes: { 'exception.type': type, 'exception.message': type, 'exception.stacktrace': stack || type },
    context: contextOf(traceId, parentId)
  })
}

function contextOf (traceId: string, spanId: string) {
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true })
}

function allowed (attributes: Attributes) {
  return Object.fromEntries(ALLOWED.flatMap((name) => attributes[name] === undefined ? [] : [[name, attributes[name]]]))
}
