import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'
import { stringFormats } from './formats.ts'

export interface Violation {
  /** JSON Pointer (RFC 6901, as a URI fragment) of a property of the schema; an unknown one is told by what holds it. */
  pointer: string
  message: string
}

const first = validator({ coerceTypes: false })
const all = validator({ coerceTypes: false, allErrors: true })
// The parts of a URL are text, so a number in a query has to be converted
const ofText = validator({ coerceTypes: true })

const MOST = 50
const compiled = new WeakMap<object, ValidateFunction>()

/**
 * Types are never coerced in a body, and unknown properties are refused, not dropped.
 *
 * A schema is compiled when it is first needed: a start waits for those of its first request alone.
 */
export const validatorCompiler: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  let compiled: ValidateFunction | undefined
  return (data: unknown) => {
    compiled ??= (httpPart === 'body' ? first : ofText).compile(schema)
    return compiled(data) || { error: compiled.errors ?? [] }
  }
}

const serializers = SerializerSelector()({}, {})

/** Likewise of answers. */
export const serializerCompiler: FastifySerializerCompiler<unknown> = (route) => {
  let compiled: ReturnType<typeof serializers> | undefined
  return (data) => (compiled ??= serializers(route as Parameters<typeof serializers>[0]))(data)
}

/** The violations of `schema` in `data`, where validation itself stops at the first. */
export function violations (schema: object, data: unknown): Violation[] {
  let validate = compiled.get(schema)
  if (!validate) compiled.set(schema, validate = all.compile(schema))
  validate(data)
  return (validate.errors ?? []).slice(0, MOST).map(violation)
}

/** What is wrong and where, without any value. */
export function violation ({ keyword, instancePath, params, message }: Pick<ErrorObject, 'keyword' | 'instancePath' | 'params' | 'message'>): Violation {
  switch (keyword) {
    case 'required': return { pointer: `#${instancePath}/${params.missingProperty}`, message: 'is required' }
    case 'additionalProperties': return { pointer: `#${instancePath}`, message: 'must not hold an unknown property' }
    case 'not': return { pointer: `#${instancePath}`, message: 'must not be sent' }
    case 'format': return { pointer: `#${instancePath}`, message: stringFormats[params.format]!.message }
    default: return { pointer: `#${instancePath}`, message: message ?? 'is not valid' }
  }
}

function validator (options: { coerceTypes: boolean, allErrors?: boolean }) {
  // Schemas are checked by what makes them, and to compile what they must look like would hold up every start
  const ajv = new Ajv({ ...options, removeAdditional: false, useDefaults: true, strict: false, meta: false, validateSchema: false })
  for (const [name, { validate }] of Object.entries(stringFormats)) ajv.addFormat(name, { type: 'string', validate })
  return ajv
}
