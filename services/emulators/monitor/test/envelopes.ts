import { randomBytes } from 'node:crypto'

/** The 32 hexadecimal digits of a trace id, or another number of them. */
export const newId = (digits = 32) => randomBytes(digits / 2).toString('hex')

export interface ItemOptions {
  role?: string
  operationId?: string
  parentId?: string
  id?: string
  /** ms since the epoch */
  time?: number
  ms?: number
  success?: boolean
  code?: string
  sampleRate?: number
  properties?: Record<string, string>
}

const IKEY = '00000000-0000-4000-8000-000000000000'

// As @azure/monitor-opentelemetry-exporter 1.0.0-beta.45 sends them
function envelope (
  name: string,
  baseType: string,
  { role = 'patient', operationId = newId(), parentId, time = Date.now(), sampleRate = 100 }: ItemOptions,
  baseData: object
) {
  return {
    ver: 1,
    name: `Microsoft.ApplicationInsights.${name}`,
    time: new Date(time).toISOString(),
    sampleRate,
    iKey: IKEY,
    tags: {
      'ai.internal.sdkVersion': 'ulm_node26:otel2.12.1:dst1.21.0',
      'ai.cloud.role': role,
      'ai.cloud.roleInstance': 'host',
      'ai.operation.id': operationId,
      ...(parentId ? { 'ai.operation.parentId': parentId } : {})
    },
    data: { baseType, baseData: { ver: 2, ...baseData, measurements: {} } }
  }
}

/** As the SDK writes them: `00:00:00.012345`. */
export function span (ms: number) {
  const at = new Date(ms).toISOString()
  return `${at.slice(11, 19)}.${Math.round((ms % 1000) * 10_000)
    .toString()
    .padStart(7, '0')
    .replace(/0{0,4}$/, '')}`
}

export function request (name: string, options: ItemOptions = {}) {
  const {
    id = newId(16),
    ms = 1,
    success = true,
    code = success ? '200' : '503',
    role = 'patient',
    properties = {}
  } = options
  return envelope('Request', 'RequestData', options, {
    id,
    name,
    duration: span(ms),
    success,
    responseCode: code,
    url: `http://${role}${name.split(' ')[1] ?? ''}`,
    properties
  })
}

export function dependency (name: string, type: string, target: string, options: ItemOptions = {}) {
  const {
    id = newId(16),
    ms = 1,
    success = true,
    code = type === 'Http' ? '200' : '0',
    properties = {}
  } = options
  return envelope('RemoteDependency', 'RemoteDependencyData', options, {
    id,
    name,
    resultCode: code,
    data: '',
    type,
    target,
    duration: span(ms),
    success,
    properties
  })
}

export function exception (typeName: string, stack: string, options: ItemOptions = {}) {
  return envelope('Exception', 'ExceptionData', options, {
    exceptions: [{ typeName, message: typeName, hasFullStack: true, stack }],
    severityLevel: 'Error',
    properties: options.properties ?? {}
  })
}

export function message (text: string, options: ItemOptions = {}) {
  return envelope('Message', 'MessageData', options, {
    message: text,
    severityLevel: 'Warning',
    properties: options.properties ?? {}
  })
}

export function event (name: string, options: ItemOptions = {}) {
  return envelope('Event', 'EventData', options, { name, properties: options.properties ?? {} })
}

export function metric (name: string, value: number, options: ItemOptions = {}) {
  return envelope('Metric', 'MetricData', options, {
    metrics: [{ name, kind: 'Aggregation', value, count: 1 }],
    properties: options.properties ?? {}
  })
}

/** A POST /patient through gateway, patient, audit and both databases. */
export function createPatient (operationId: string, time: number) {
  const ids = Array.from({ length: 5 }, () => newId(16))
  const [gateway, toPatient, patient, toAudit, audit] = ids as [string, string, string, string, string]
  const of = (role: string, at: number, ms: number, more: ItemOptions) => ({
    role,
    operationId,
    time: time + at,
    ms,
    ...more
  })
  return [
    request('POST /patient', of('gateway', 0, 11.9, { id: gateway, code: '201' })),
    dependency(
      'POST /patient',
      'Http',
      'patient',
      of('gateway', 1, 10.4, { id: toPatient, parentId: gateway, code: '201' })
    ),
    request('POST /patient', of('patient', 2, 8.8, { id: patient, parentId: toPatient, code: '201' })),
    dependency(
      'POST /audit',
      'Http',
      'audit',
      of('patient', 2, 5.2, { id: toAudit, parentId: patient, code: '201' })
    ),
    request('POST /audit', of('audit', 3, 3.9, { id: audit, parentId: toAudit, code: '201' })),
    dependency(
      'insert blocks',
      'mongodb',
      'audit',
      of('audit', 3, 3.1, {
        parentId: audit,
        properties: { 'db.collection.name': 'blocks', 'batch.size': '3' }
      })
    ),
    event('batch stored', of('audit', 6, 0, { parentId: audit, properties: { 'audit.batch.size': '3' } })),
    dependency(
      'insert patients',
      'mongodb',
      'patient',
      of('patient', 8, 2.2, { parentId: patient, properties: { 'db.collection.name': 'patients' } })
    )
  ]
}

/** The same with the audit service unavailable: the call to it fails, and its retry too. */
export function failedCreate (operationId: string, time: number) {
  const ids = Array.from({ length: 3 }, () => newId(16))
  const [gateway, toPatient, patient] = ids as [string, string, string]
  const of = (role: string, at: number, ms: number, more: ItemOptions) => ({
    role,
    operationId,
    time: time + at,
    ms,
    ...more
  })
  const failed = { success: false, code: '503' }
  return [
    request('POST /patient', of('gateway', 0, 64.2, { id: gateway, ...failed })),
    dependency(
      'POST /patient',
      'Http',
      'patient',
      of('gateway', 1, 62.6, { id: toPatient, parentId: gateway, ...failed })
    ),
    request('POST /patient', of('patient', 2, 60.9, { id: patient, parentId: toPatient, ...failed })),
    dependency(
      'POST /audit',
      'Http',
      'audit',
      of('patient', 3, 1.4, {
        parentId: patient,
        success: false,
        code: '0',
        properties: { 'error.type': 'ECONNREFUSED' }
      })
    ),
    message('the audit service does not answer; trying again', of('patient', 5, 0, { parentId: patient })),
    dependency(
      'POST /audit',
      'Http',
      'audit',
      of('patient', 55, 1.1, {
        parentId: patient,
        success: false,
        code: '0',
        properties: { 'error.type': 'ECONNREFUSED' }
      })
    ),
    exception(
      'RegisterUnavailable',
      `    at AuditClient.record (services/patient/audit-client.ts:88:13)
    at async services/patient/audited.ts:61:7`,
      of('patient', 57, 0, { parentId: patient })
    )
  ]
}
