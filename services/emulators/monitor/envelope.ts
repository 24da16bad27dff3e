import { Type, type Static } from 'typebox'
import { violations } from '#common/http/validation.ts'

// Only properties that are read here are validated; senders may add others. Source: the models that
// @azure/monitor-opentelemetry-exporter is generated from, and the data model of Application Insights.

const text = Type.String()
const id = Type.String({ minLength: 1, maxLength: 512 })
const name = Type.String({ maxLength: 1024 })
const TIME_SPAN = /^-?(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)$/
const duration = Type.String({ pattern: TIME_SPAN.source })
const code = Type.Union([text, Type.Number()])

const customData = {
  properties: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  measurements: Type.Optional(Type.Record(Type.String(), Type.Unknown()))
}

const Exception = Type.Object({
  typeName: Type.Optional(text),
  message: Type.Optional(text),
  stack: Type.Optional(text)
})

const baseData = {
  RequestData: Type.Object({
    id,
    name: Type.Optional(name),
    duration,
    success: Type.Boolean(),
    responseCode: Type.Optional(code),
    url: Type.Optional(text),
    source: Type.Optional(text),
    ...customData
  }),
  RemoteDependencyData: Type.Object({
    id: Type.Optional(id),
    name,
    duration,
    success: Type.Optional(Type.Boolean()),
    resultCode: Type.Optional(code),
    type: Type.Optional(text),
    target: Type.Optional(text),
    data: Type.Optional(text),
    ...customData
  }),
  ExceptionData: Type.Object({
    exceptions: Type.Array(Exception, { minItems: 1 }),
    severityLevel: Type.Optional(code),
    ...customData
  }),
  MessageData: Type.Object({ message: text, severityLevel: Type.Optional(code), ...customData }),
  EventData: Type.Object({ name, ...customData }),
  MetricData: Type.Object({ metrics: Type.Array(Type.Object({ name, value: Type.Number() })), ...customData })
}

type BaseType = keyof typeof baseData
type BaseData<T extends BaseType> = Static<typeof baseData[T]>

const Envelope = Type.Object({
  name: text,
  time: text,
  iKey: Type.String({ minLength: 1 }),
  sampleRate: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 100 })),
  tags: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  data: Type.Object({ baseType: text, baseData: Type.Object({}) })
})
type Envelope = Static<typeof Envelope>

/** The maximum size of an item in Application Insights. */
const ITEM_BYTES = 64 * 1024
/** The approximate size of an item without its strings. */
const OVERHEAD_BYTES = 512

const SEVERITIES = ['Verbose', 'Information', 'Warning', 'Error', 'Critical']
const ERROR = SEVERITIES.indexOf('Error')

export type Kind = 'request' | 'dependency' | 'exception' | 'message' | 'event'

/** One telemetry item of an operation. */
export interface Item {
  kind: Kind
  operationId: string
  /** Of a request or dependency: its span id, which the items below it have as their parent id. */
  id?: string
  parentId?: string
  role: string
  name: string
  /** The start, in ms since the epoch. */
  time: number
  durationMs: number
  failed: boolean
  resultCode?: string
  /** The type of a dependency: Http, mongodb. */
  type?: string
  target?: string
  severity?: string
  /** The number of items that a sampled item represents. */
  weight: number
  /** Its other properties and measurements. */
  attributes: Array<[name: string, value: string]>
  /** Its approximate size in memory. */
  bytes: number
}

export class MalformedItem extends Error {
  override name = 'MalformedItem'
}

/**
 * Reads one envelope as SDKs send it. Returns undefined for metrics and unknown types, which are accepted and
 * dropped.
 *
 * @throws {MalformedItem} with the name of a property, and no value
 */
export function readEnvelope (content: unknown): Item | undefined {
  check(Envelope, content, '')
  const envelope = content as Envelope
  const { baseType } = envelope.data
  if (!Number.isFinite(Date.parse(envelope.time))) throw new MalformedItem('#/time must be a date')
  if (!isKnown(baseType)) return undefined
  check(baseData[baseType], envelope.data.baseData, '/data/baseData')
  if (baseType === 'MetricData') return undefined
  const item = readers[baseType](envelope)
  if (item.bytes > ITEM_BYTES) throw new MalformedItem('# must not be larger than 64 KiB')
  return item
}

const readers = {
  RequestData (envelope: Envelope) {
    const { id, name = '', duration, success, responseCode, url, source, ...rest } =
      dataOf<'RequestData'>(envelope)
    const outcome = { durationMs: milliseconds(duration), failed: !success, resultCode: codeOf(responseCode) }
    return item(envelope, { kind: 'request', id, name, ...outcome }, { url, source }, rest)
  },
  RemoteDependencyData (envelope: Envelope) {
    const { id, name, duration, success = true, resultCode, type, target, data, ...rest } =
      dataOf<'RemoteDependencyData'>(envelope)
    const outcome = { durationMs: milliseconds(duration), failed: !success, resultCode: codeOf(resultCode) }
    const own = { kind: 'dependency', id, name, ...outcome, type, target } as const
    return item(envelope, own, { type, target, data }, rest)
  },
  ExceptionData (envelope: Envelope) {
    const { exceptions, severityLevel = ERROR, ...rest } = dataOf<'ExceptionData'>(envelope)
    const [{ typeName: name = 'Exception', message, stack } = {}] = exceptions
    const severity = severityOf(severityLevel)
    return item(envelope, { kind: 'exception', name, failed: true, severity }, { message, stack }, rest)
  },
  MessageData (envelope: Envelope) {
    const { message, severityLevel, ...rest } = dataOf<'MessageData'>(envelope)
    const severity = severityOf(severityLevel)
    return item(envelope, { kind: 'message', name: message, failed: false, severity }, {}, rest)
  },
  EventData (envelope: Envelope) {
    const { name, ...rest } = dataOf<'EventData'>(envelope)
    return item(envelope, { kind: 'event', name, failed: false }, {}, rest)
  }
} satisfies Record<Exclude<BaseType, 'MetricData'>, (envelope: Envelope) => Item>

type Own = Pick<Item, 'kind' | 'name' | 'failed'> & Partial<Item>
type CustomData = { properties?: object, measurements?: object }

function item (envelope: Envelope, own: Own, fields: object, { properties, measurements }: CustomData): Item {
  const { time, tags = {}, sampleRate = 100 } = envelope
  const attributes = Object.entries({ ...fields, ...properties, ...measurements })
    .map(([name, value]): [string, string] => [name, textOf(value) ?? ''])
    .filter(([, text]) => text !== '')
  const known = {
    operationId: textOf(tags['ai.operation.id']) ?? '',
    parentId: textOf(tags['ai.operation.parentId']) || undefined,
    role: textOf(tags['ai.cloud.role']) || 'unknown'
  }
  const values = [...Object.values({ ...known, ...own }), ...attributes.flat()]
  const texts = values.filter((value) => typeof value === 'string')
  const bytes = texts.reduce((sum, { length }) => sum + 2 * length, OVERHEAD_BYTES)
  const weight = 100 / sampleRate
  return { durationMs: 0, ...known, time: Date.parse(time), weight, attributes, bytes, ...own }
}

/** The milliseconds of a time span, `d.hh:mm:ss.fffffff` with or without days. */
export function milliseconds (span: string) {
  const [, days = 0, hours, minutes, seconds] = TIME_SPAN.exec(span)!
  const ms = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60_000 + Number(seconds) * 1_000
  return Math.round(ms * 10_000) / 10_000
}

function dataOf<T extends BaseType> ({ data }: Envelope) {
  return data.baseData as BaseData<T>
}

function isKnown (baseType: string): baseType is BaseType {
  return Object.hasOwn(baseData, baseType)
}

function severityOf (level: string | number | undefined) {
  return level === undefined ? undefined : SEVERITIES[Number(level)] ?? String(level)
}

// SDKs send 0 if there is no code
function codeOf (code: string | number | undefined) {
  return code === undefined || String(code) === '0' ? undefined : String(code)
}

function textOf (value: unknown) {
  if (value === undefined || value === null) return undefined
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function check (schema: object, data: unknown, at: string) {
  const [problem] = violations(schema, data)
  if (problem) throw new MalformedItem(`#${at}${problem.pointer.slice(1)} ${problem.message}`)
}
