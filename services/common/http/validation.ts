import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'
import { stringFormats } from './formats.ts'

export interface Violation {
  /** JSON Pointer (RFC 6901, as a URI fragment) of a property, or of the object that has an unknown one. */
  pointer: string
  message: string
}

const first = validator({ coerceTypes: false })
const all = validator({ coerceTypes: false, allErrors: true })
// Parameters in a URL are strings, so numbers have to be converted
const coercing = validator({ coerceTypes: true })

const MAX_VIOLATIONS = 50

/**
 * Types in a body are never coerced, and unknown properties are refused, not dropped.
 *
 * Schemas are compiled on first use, which shortens a cold start of the patient service by 80 ms of CPU time.
 */
export const validatorCompiler: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  let compiled: ValidateFunction | undefined
  return (data: unknown) => {
    compiled ??= (httpPart === 'body' ? first : coercing).compile(schema)
    return compiled(data) || { error: compiled.errors ?? [] }
  }
}

const serializers = SerializerSelector()({}, {})

/** Compiles the schemas of responses on first use. */
export const serializerCompiler: FastifySerializerCompiler<unknown> = (route) => {
  let compiled: ReturnType<typeof serializers> | undefined
  return (data) => (compiled ??= serializers(route as Parameters<typeof serializers>[0]))(data)
}

/** All violations of `schema` in `data`; the validators of routes stop at the first. */
export function violations (schema: object, data: unknown): Violation[] {
  const validate = all.compile(schema) // from Ajv's cache after the first time
  validate(data)
  return (validate.errors ?? []).slice(0, MAX_VIOLATIONS).map(violation)
}

type ValidationError = Pick<ErrorObject, 'keyword' | 'instancePath' | 'params' | 'message'>

/** What is wrong and where, without any value of the data. */
export function violation ({ keyword, instancePath, params, message }: ValidationError): Violation {
  const pointer = `#${instancePath}`
  switch (keyword) {
    case 'required': return { pointer: `${pointer}/${params.missingProperty}`, message: 'is required' }
    case 'additionalProperties': return { pointer, message: 'must not hold an unknown property' }
    case 'not': return { pointer, message: 'must not be sent' }
    case 'format': return { pointer, message: stringFormats[params.format]!.message }
    default: return { pointer, message: message ?? 'is not valid' }
  }
}

function validator (options: { coerceTypes: boolean, allErrors?: boolean }) {
  // TypeBox makes valid schemas, so that no start has to compile the meta-schema
  const unchecked = { strict: false, meta: false, validateSchema: false }
  const ajv = new Ajv({ ...options, ...unchecked, removeAdditional: false, useDefaults: true })
  for (const [name, { validate }] of Object.entries(stringFormats)) {
    ajv.addFormat(name, { type: 'string', validate })
  }
  return ajv
}
