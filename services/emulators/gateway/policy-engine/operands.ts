import { baseUrl } from '../errors.ts'
import { PolicyResponse, type Evaluate } from './exchange.ts'

// The parts of expressions, with their types in C#, so that what API Management refuses is refused here: an
// object cannot be compared before it is cast.

export type Type =
  'string' | 'int' | 'int?' | 'long' | 'long?' | 'bool' | 'object' | 'IResponse' | 'JObject' | 'JToken'

export interface Typed {
  type: Type
  evaluate: Evaluate
}

/** An exception at run time, as in C#: a null reference, an invalid cast, a missing key. */
export class ExpressionFailure extends Error {
  override name = 'ExpressionFailure'
}

const string = (evaluate: Evaluate<string | undefined>): Typed => ({ type: 'string', evaluate })

export const VALUES = new Map<string, Typed>(Object.entries({
  'context.Api.Id': string(({ request }) => request.routeOptions.config.api),
  'context.Operation.Id': string(({ request }) => request.routeOptions.config.operation),
  'context.LastError.Section': string(({ errorSection }) => errorSection),
  'context.Request.IpAddress': string(({ request }) => request.ip.replace(/^::ffff:(?=\d+\.)/, '')),
  'context.Request.Method': string(({ request }) => request.method),
  'context.Request.OriginalUrl.Scheme': string(() => 'http'),
  // With the port: on Azure it is the one of the scheme, and left out
  'context.Request.OriginalUrl.Host': string(({ request }) => new URL(baseUrl(request)).host),
  // As the client sent it
  'context.Request.OriginalUrl.Path': string(({ request }) => request.url.split('?', 1)[0]),
  'context.RequestId.ToString()': string(({ request }) => request.id),
  'context.Subscription.Id': string(({ request }) => request.subscription!.id),
  'context.Response.StatusCode': {
    type: 'int', evaluate: ({ response }) => present(response, 'there is no response yet').statusCode
  },
  'DateTimeOffset.UtcNow.ToUnixTimeSeconds()': { type: 'long', evaluate: () => Math.floor(Date.now() / 1e3) },
  'long.MaxValue': { type: 'long', evaluate: () => Number.MAX_SAFE_INTEGER }
}))

interface Cast {
  from: Type[]
  type: Type
  accepts: (value: unknown) => boolean
}

export const CASTS = new Map<string, Cast>(Object.entries({
  '(string)': { from: ['object', 'JToken'], type: 'string', accepts: (value) => typeof value === 'string' },
  '(long?)': { from: ['JToken'], type: 'long?', accepts: Number.isSafeInteger },
  '(IResponse)': { from: ['object'], type: 'IResponse', accepts: (value) => value instanceof PolicyResponse },
  '(JObject)': {
    from: ['object'],
    type: 'JObject',
    accepts: (value) => typeof value === 'object' && !(value instanceof PolicyResponse)
  }
}))

/** Casts `evaluate`; null has every type. */
export function cast ({ type, accepts }: Cast, evaluate: Evaluate): Typed {
  return {
    type,
    evaluate: (context) => {
      const value = evaluate(context) ?? null
      if (value !== null && !accepts(value)) throw new ExpressionFailure(`a value cannot be cast to ${type}`)
      return value
    }
  }
}

interface Member {
  of: Type[]
  type: Type
  read: (value: unknown) => unknown
}

export const MEMBERS = new Map<string, Member>(Object.entries({
  '.ToString()': { of: ['JObject'], type: 'string', read: (object) => JSON.stringify(object) },
  '?.StatusCode': { of: ['IResponse'], type: 'int?', read: statusOf },
  '.Body.As<JObject>()': { of: ['IResponse'], type: 'JObject', read: parseObject }
}))

interface Operator {
  precedence: number
  /** The types of the left and the right operand. */
  operands: Array<[Type[], Type[]]>
  type: Type
  apply: (left: unknown, right: () => unknown) => unknown
}

const INTEGERS: Type[] = ['int', 'long']
const NUMBERS: Type[] = [...INTEGERS, 'int?', 'long?']
const BOTH_BOOL: Operator['operands'] = [[['bool'], ['bool']]]
const BOTH_STRING: Operator['operands'] = [[['string'], ['string']]]
const COMPARABLE: Operator['operands'] = [...BOTH_STRING, [NUMBERS, NUMBERS]]

function operator (
  precedence: number, operands: Operator['operands'], type: Type, apply: Operator['apply']
): Operator {
  return { precedence, operands, type, apply }
}

export const OPERATORS = new Map(Object.entries({
  '??': operator(0, [[['long?'], INTEGERS]], 'long', (left, right) => left ?? right()),
  '||': operator(1, BOTH_BOOL, 'bool', (left, right) => left || right()),
  // A missing value equals null
  '==': operator(3, COMPARABLE, 'bool', (left, right) => (left ?? null) === (right() ?? null)),
  '!=': operator(3, COMPARABLE, 'bool', (left, right) => (left ?? null) !== (right() ?? null)),
  '>': operator(4, [[INTEGERS, INTEGERS]], 'bool', (left, right) => (left as number) > (right() as number)),
  // Null is the empty string
  '+': operator(5, BOTH_STRING, 'string', (left, right) => `${left ?? ''}${right() ?? ''}`)
}))

export function apply (operator: Operator, left: Evaluate, right: Evaluate): Evaluate {
  return (context) => operator.apply(left(context), () => right(context))
}

export function variable (name: string): Typed {
  return {
    type: 'object',
    evaluate: ({ variables }) => {
      if (!variables.has(name)) throw new ExpressionFailure(`the variable ${name} is not set`)
      return variables.get(name)
    }
  }
}

/** A parameter of the path of the operation. */
export function parameter (name: string): Typed {
  return {
    type: 'string',
    evaluate: ({ request }) => {
      const parameters = request.params as Record<string, string>
      if (!Object.hasOwn(parameters, name)) throw new ExpressionFailure(`the path has no parameter ${name}`)
      return parameters[name]
    }
  }
}

/** The property that `["name"]` or `?["name"]` reads of a JSON value: null if there is none. */
export function propertyAt (token: string): Member | undefined {
  if (!token.endsWith(']')) return undefined
  const name = unquote(token)
  const read = (value: unknown) => {
    if (token.startsWith('?') && (value ?? null) === null) return null
    const object = present(value)
    if (typeof object !== 'object') throw new ExpressionFailure('a value has no properties')
    return Object.hasOwn(object, name) ? (object as Record<string, unknown>)[name] : null
  }
  return { of: ['JObject', 'JToken'], type: 'JToken', read }
}

/** The text between the quotation marks of `token`. */
export function unquote (token: string) {
  return token.slice(token.indexOf('"') + 1, token.lastIndexOf('"')).replaceAll('\\"', '"')
}

/** @throws {ExpressionFailure} `value` is null or undefined */
function present<T> (value: T, problem = 'a value is null'): NonNullable<T> {
  if (value === null || value === undefined) throw new ExpressionFailure(problem)
  return value
}

function statusOf (response: unknown) {
  return (response as PolicyResponse | null)?.statusCode
}

function parseObject (response: unknown): object {
  const { body } = present(response as PolicyResponse | null)
  try {
    const value = JSON.parse(body)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {}
  // The parser's own message could quote a key
  throw new ExpressionFailure('a body is not a JSON object')
}
