import { parentPort, workerData } from 'node:worker_threads'
import {
  metrics, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type ProxyTracerProvider
} from '@opentelemetry/api'
import { logs, SeverityNumber } from '@opentelemetry/api-logs'
import applicationinsights from 'applicationinsights'
import { azureCredential } from '../secrets/azure-credential.ts'
import { metricDefinitions, type Dimensions } from './metrics.ts'
import { ATTRIBUTES, type TelemetryItem } from './operation.ts'
import type { ExporterOptions, Batch } from './telemetry.ts'

// The worker thread of the SDK: exports batches, and answers each with the number of items that were lost

const { role, connectionString, authenticated, clientId } = workerData as ExporterOptions
const EXPORT_MS = 5_000
const INSTRUMENTATIONS = [
  'http', 'mongoDb', 'azureSdk', 'mySql', 'postgreSql', 'redis', 'redis4', 'bunyan', 'winston'
]

applicationinsights.useAzureMonitor({
  // The process samples, since it knows how an operation ended
  tracesPerSecond: 0,
  samplingRatio: 1,
  enableLiveMetrics: false,
  // Application Insights derives them from the requests
  enableStandardMetrics: false,
  enablePerformanceCounters: false,
  // It would swallow unhandled rejections
  enableAutoCollectExceptions: false,
  azureMonitorExporterOptions: {
    connectionString,
    credential: authenticated ? await azureCredential(clientId) : undefined,
    // No telemetry on disk
    disableOfflineStorage: true,
    retryOptions: { maxRetries: 0 },
    additionalPolicies: [{
      position: 'perRetry',
      policy: {
        name: 'timeout',
        sendRequest: (request, next) => next(Object.assign(request, { timeout: EXPORT_MS }))
      }
    }]
  },
  // The services record their operations themselves
  instrumentationOptions: Object.fromEntries(INSTRUMENTATIONS.map((name) => [name, { enabled: false }]))
})

const tracer = trace.getTracer(role)
const logger = logs.getLogger(role)
const meter = metrics.getMeter(role)
type Provider = { forceFlush: () => Promise<void> }
const spanProvider = (trace.getTracerProvider() as ProxyTracerProvider).getDelegate() as unknown as Provider
const logProvider = logs.getLoggerProvider() as unknown as Provider

const instruments = Object.fromEntries(Object.entries(metricDefinitions).map(([name, { kind, unit }]) => {
  if (kind === 'counter') {
    const counter = meter.createCounter(name, { unit })
    return [name, (value: number, dimensions: Dimensions) => counter.add(value, dimensions)]
  }
  const instrument = meter[kind === 'gauge' ? 'createGauge' : 'createHistogram'](name, { unit })
  return [name, (value: number, dimensions: Dimensions) => instrument.record(value, dimensions)]
}))

parentPort!.on('message', async (message: Batch | 'close') => {
  if (message === 'close') return close()
  for (const { name, dimensions, values } of message.metrics) {
    for (const value of values) instruments[name]!(value, dimensions)
  }
  const items: TelemetryItem[] = JSON.parse(message.items)
  const spans = items.filter((item) => item.kind !== 'defect')
  const exceptions = items.filter((item) => item.kind === 'defect')
  spans.forEach(recordSpan)
  exceptions.forEach(recordException)
  const lostSpans = await flush(spanProvider) ? 0 : spans.length
  const lostExceptions = exceptions.length === 0 || await flush(logProvider) ? 0 : exceptions.length
  parentPort!.postMessage(lostSpans + lostExceptions)
})

async function close () {
  // Exports the metrics of the last minute; a failure can no longer be reported
  await applicationinsights.shutdownAzureMonitor().catch(() => {})
  process.exit()
}

/** Exports what a provider holds; false if that fails. */
function flush (provider: Provider) {
  return provider.forceFlush().then(() => true, () => false)
}

function recordSpan (item: TelemetryItem) {
  const { kind, name, traceId, id, parentId, start, ms, failed, attributes, operation, rate } = item
  const isRequest = kind === 'request'
  const span = tracer.startSpan(name, {
    kind: isRequest ? SpanKind.SERVER : SpanKind.CLIENT,
    startTime: start,
    attributes: {
      ...Object.fromEntries(ATTRIBUTES.map((name) => [name, attributes[name]])),
      ...isRequest && { 'url.scheme': 'http', 'server.address': role, 'url.path': attributes['http.route'] },
      ...rate < 100 && { 'microsoft.sample_rate': rate },
      'ai.operation.name': operation
    }
  }, parentId ? contextOf(traceId, parentId) : ROOT_CONTEXT)
  // The ids that were sent with the calls
  Object.assign(span.spanContext(), { traceId, spanId: id })
  if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
  span.end(start + ms)
}

function recordException ({ traceId, parentId, start, name: type, stack = '' }: TelemetryItem) {
  logger.emit({
    timestamp: start,
    severityNumber: SeverityNumber.ERROR,
    attributes: { 'exception.type': type, 'exception.message': type, 'exception.stacktrace': stack || type },
    context: contextOf(traceId, parentId!)
  })
}

function contextOf (traceId: string, spanId: string) {
  const { SAMPLED } = TraceFlags
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: SAMPLED, isRemote: true })
}
