import { Type, type Static } from 'typebox'
import { violations } from '#common/http/validation.ts'

// Only what is read here is checked: senders may add to each of these.
// Source: the models that @azure/monitor-opentelemetry-exporter is generated from, and the data model of Application Insights.

const text = Type.String()
const id = Type.String({ minLength: 1, maxLength: 512 })
const name = Type.String({ maxLength: 1024 })
const TIME_SPAN = /^-?(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)$/
const duration = Type.String({ pattern: TIME_SPAN.source })
const code = Type.Union([text, Type.Number()])

const about = {
  properties: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  measurements: Type.Optional(Type.Record(Type.String(), Type.Unknown()))
}

const baseData = {
  RequestData: Type.Object({
    id, name: Type.Optional(name), duration, success: Type.Boolean(), responseCode: Type.Optional(code), url: Type.Optional(text), source: Type.Optional(text), ...about
  }),
  RemoteDependencyData: Type.Object({
    id: Type.Optional(id), name, duration, success: Type.Optional(Type.Boolean()), resultCode: Type.Optional(code), type: Type.Optional(text), target: Type.Optional(text), data: Type.Optional(text), ...about
  }),
  ExceptionData: Type.Object({
    exceptions: Type.Array(Type.Object({ typeName: Type.Optional(text), message: Type.Optional(text), stack: Type.Optional(text) }), { minItems: 1 }),
    severityLevel: Type.Optional(code),
    ...about
  }),
  MessageData: Type.Object({ message: text, severityLevel: Type.Optional(code), ...about }),
  EventData: Type.Object({ name, ...about }),
  MetricData: Type.Object({ metrics: Type.Array(Type.Object({ name, value: Type.Number() })), ...about })
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

/** The largest item that Application Insights takes. */
const ITEM_BYTES = 64 * 1024
/** About what an item takes besides its texts. */
const OVERHEAD_BYTES = 512

const SEVERITIES = ['Verbose', 'Information', 'Warning', 'Error', 'Critical']
const ERROR = SEVERITIES.indexOf('Error')

export type Kind = 'request' | 'dependency' | 'exception' | 'message' | 'event'

/** One piece of telemetry that belongs to an operation. */
export interface Item {
  kind: Kind
  operationId: string
  /** Of a request or dependency: what others name as their parent. */
  id?: string
  parentId?: string
  role: string
  name: string
  /** When it began, in ms since the epoch. */
  time: number
  durationMs: number
  failed: boolean
  resultCode?: string
  /** What a dependency is: Http, mongodb. */
  type?: string
  target?: string
  severity?: string
  /** How many it stands for, where it is one of a sample. */
  weight: number
  /** What else came with it, by name. */
  attributes: Array<[name: string, value: string]>
  /** About what it takes in memory. */
  bytes: number
}

export class MalformedItem extends Error {
  override name = 'MalformedItem'
}

/**
 * Reads one envelope as SDKs send it. Metrics, and kinds that no service here sends, are taken and not kept.
 *
 * @throws {MalformedItem} that names a property and no value
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
    const { id, name = '', duration, success, responseCode, url, source, ...rest } = dataOf<'RequestData'>(envelope)
    return item(envelope, { kind: 'request', id, name, durationMs: milliseconds(duration), failed: !success, resultCode: codeOf(responseCode) }, { url, source }, rest)
  },
  RemoteDependencyData (envelope: Envelope) {
    const { id, name, duration, success = true, resultCode, type, target, data, ...rest } = dataOf<'RemoteDependencyData'>(envelope)
    return item(envelope, { kind: 'dependency', id, name, durationMs: milliseconds(duration), failed: !success, resultCode: codeOf(resultCode), type, target }, { type, target, data }, rest)
  },
  ExceptionData (envelope: Envelope) {
    const { exceptions: [{ typeName = 'Exception', message, stack } = {}], severityLevel = ERROR, ...rest } = dataOf<'ExceptionData'>(envelope)
    return item(envelope, { kind: 'exception', name: typeName, failed: true, severity: severityOf(severityLevel) }, { message, stack }, rest)
  },
  MessageData (envelope: Envelope) {
    const { message, severityLevel, ...rest } = dataOf<'MessageData'>(envelope)
    return item(envelope, { kind: 'message', name: message, failed: false, severity: severityOf(severityLevel) }, {}, rest)
  },
  EventData (envelope: Envelope) {
    const { name, ...rest } = dataOf<'EventData'>(envelope)
    return item(envelope, { kind: 'event', name, failed: false }, {}, rest)
  }
} satisfies Record<Exclude<BaseType, 'MetricData'>, (envelope: Envelope) => Item>

type Own = Pick<Item, 'kind' | 'name' | 'failed'> & Partial<Item>

function item ({ time, tags = {}, sampleRate = 100 }: Envelope, own: Own, fields: Record<string, unknown>, { properties, measurements }: { properties?: object, measurements?: object }): Item {
  const attributes = Object.entries({ ...fields, ...properties, ...measurements }).flatMap(([name, value]): Item['attributes'] => {
    const text = textOf(value)
    return text === undefined || text === '' ? [] : [[name, text]]
  })
  const known = {
    operationId: textOf(tags['ai.operation.id']) ?? '',
    parentId: textOf(tags['ai.operation.parentId']) || undefined,
    role: textOf(tags['ai.cloud.role']) || 'unknown'
  }
  const texts = [...Object.values({ ...known, ...own }), ...attributes.flat()].filter((value) => typeof value === 'string')
  const bytes = texts.reduce((sum, { length }) => sum + 2 * length, OVERHEAD_BYTES)
  return { durationMs: 0, ...known, time: Date.parse(time), weight: 100 / sampleRate, attributes, bytes, ...own }
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

// Senders tell 0 of what has no code
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
