import { Type, type Static } from 'typebox'
import { violations } from '#common/http/validation.ts'

// Only properties that are read here are validated; senders may add others. Source: the models that
// @azure/monitor-opentelemetry-exporter is generated from, and the data model of Application Insights.

const text = Type.String()
const optional = Type.Optional(text)
const name = Type.String({ maxLength: 1024 })
const id = Type.String({ minLength: 1, maxLength: 512 })
const TIME_SPAN = /^-?(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)$/
const duration = Type.String({ pattern: TIME_SPAN.source })
const code = Type.Optional(Type.Union([text, Type.Number()]))
const values = Type.Optional(Type.Record(text, Type.Unknown()))
const customData = { properties: values, measurements: values }

const success = Type.Boolean()
const response = { responseCode: code, url: optional, source: optional }
const target = { type: optional, target: optional, data: optional }
const call = { id: Type.Optional(id), name, resultCode: code, ...target }
const Exception = Type.Object({ typeName: optional, message: optional, stack: optional })
const exceptions = Type.Array(Exception, { minItems: 1 })
const Metric = Type.Object({ name, value: Type.Number() })

const baseData = {
  RequestData: Type.Object({ id, name: Type.Optional(name), duration, success, ...response, ...customData }),
  RemoteDependencyData: Type.Object({ ...call, duration, success: Type.Optional(success), ...customData }),
  ExceptionData: Type.Object({ exceptions, severityLevel: code, ...customData }),
  MessageData: Type.Object({ message: text, severityLevel: code, ...customData }),
  EventData: Type.Object({ name, ...customData }),
  MetricData: Type.Object({ metrics: Type.Array(Metric), ...customData })
}

type BaseType = keyof typeof baseData
type BaseData<T extends BaseType> = Static<typeof baseData[T]>

const Envelope = Type.Object({
  name: text,
  time: text,
  iKey: Type.String({ minLength: 1 }),
  sampleRate: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 100 })),
  tags: values,
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
  const { time, data: { baseType, baseData: data } } = envelope
  if (!Number.isFinite(Date.parse(time))) throw new MalformedItem('#/time must be a date')
  if (!isKnown(baseType)) return undefined
  check(baseData[baseType], data, '/data/baseData')
  if (baseType === 'MetricData') return undefined
  const item = itemOf(envelope, readers[baseType](data as never))
  if (item.bytes > ITEM_BYTES) throw new MalformedItem('# must not be larger than 64 KiB')
  return item
}

/** The data of an item: its own properties, and the fields and values that are its attributes. */
interface Content {
  own: Pick<Item, 'kind' | 'name' | 'failed'> & Partial<Item>
  fields?: object
  properties?: object
  measurements?: object
}

const readers = {
  RequestData: ({ id, name = '', duration, success, responseCode, url, source, ...custom }) => {
    const outcome = { durationMs: milliseconds(duration), failed: !success, resultCode: codeOf(responseCode) }
    return { own: { kind: 'request', id, name, ...outcome }, fields: { url, source }, ...custom }
  },
  RemoteDependencyData: ({ id, name, duration, success = true, resultCode, ...rest }) => {
    const { type, target, data, ...custom } = rest
    const outcome = { durationMs: milliseconds(duration), failed: !success, resultCode: codeOf(resultCode) }
    const own = { kind: 'dependency', id, name, ...outcome, type, target } as const
    return { own, fields: { type, target, data }, ...custom }
  },
  ExceptionData: ({ exceptions: [exception], severityLevel = ERROR, ...custom }) => {
    const { typeName: name = 'Exception', message, stack } = exception!
    const own = { kind: 'exception', name, failed: true, severity: severityOf(severityLevel) } as const
    return { own, fields: { message, stack }, ...custom }
  },
  MessageData: ({ message: name, severityLevel, ...custom }) => {
    return { own: { kind: 'message', name, failed: false, severity: severityOf(severityLevel) }, ...custom }
  },
  EventData: ({ name, ...custom }) => ({ own: { kind: 'event', name, failed: false }, ...custom })
} satisfies { [T in Exclude<BaseType, 'MetricData'>]: (data: BaseData<T>) => Content }

function itemOf (envelope: Envelope, { own, fields, properties, measurements }: Content): Item {
  const { time, tags = {}, sampleRate = 100 } = envelope
  const attributes = Object.entries({ ...fields, ...properties, ...measurements })
    .map(([name, value]): [string, string] => [name, textOf(value) ?? ''])
    .filter(([, text]) => text !== '')
  const known = {
    operationId: textOf(tags['ai.operation.id']) ?? '',
    parentId: textOf(tags['ai.operation.parentId']) || undefined,
    role: textOf(tags['ai.cloud.role']) || 'unknown'
  }
  const texts = [...Object.values({ ...known, ...own }), ...attributes.flat()]
    .filter((value) => typeof value === 'string')
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
