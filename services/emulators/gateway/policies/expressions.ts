import { PolicyError, type Place } from './documents.ts'

// C# as far as the policies use it. Each form has its type, as the compiler of API Management would see it, so that
// what is refused there is refused here: an object is not compared before it is cast.

/** The answer to a send-request. */
export class PolicyResponse {
  readonly statusCode: number
  readonly body: string

  constructor (statusCode: number, body: string) {
    this.statusCode = statusCode
    this.body = body
  }
}

/** What expressions see of a request: the `context` of API Management. */
export interface Context {
  readonly requestId: string
  readonly subscriptionId: string
  readonly clientAddress: string
  readonly requestMethod: string
  /** The path of the request as the client sent it, without its query. */
  readonly requestPath: string
  readonly responseStatus: number | undefined
  /** A field of the response, by its name in lower case. */
  responseField (name: string): string | undefined
  readonly errorSection: string | undefined
  /** By the slots that the variables have got. */
  readonly variables: unknown[]
}

export type Type = 'string' | 'null' | 'int' | 'int?' | 'long' | 'long?' | 'bool' | 'object' | 'Guid' | 'IResponse' | 'JObject' | 'JToken' | 'JProperty'
export type Evaluate<T = unknown> = (context: Context) => T

interface Typed {
  type: Type
  evaluate: Evaluate<any>
}

/** Gives each variable a slot; answers nothing for one that no statement sets. */
export type SlotOf = (variable: string) => number | undefined

/** A fault at run time, as an exception in C# would be: of a null reference, an invalid cast, a missing key. */
export class ExpressionFailure extends Error {
  override name = 'ExpressionFailure'
}

const CASTS = ['string', 'long?', 'IResponse', 'JObject'] as const
type Cast = typeof CASTS[number]

const TOKEN = /\s*(?:("(?:[^"\\]|\\["\\])*")|(\d+)|([A-Za-z_]\w*)|(\?\.|\?\[|\?\?|\|\||&&|==|!=|[().,[\]+>?<]))/y
const NUMBERS: Type[] = ['int', 'int?', 'long', 'long?']
const STRINGS: Type[] = ['string', 'null']

/** @throws {PolicyError} where `source`, which stands in `@(…)`, has a form that is not known, or another type than is wanted */
export function compileExpression<T> (place: Place, source: string, wanted: Type, slotOf: SlotOf): Evaluate<T> {
  const { type, evaluate } = new Parser(place, source, slotOf).whole()
  if (type !== wanted && wanted !== 'object') throw new PolicyError(place, `the expression is a ${type} where a ${wanted} is wanted: ${source}`)
  return evaluate
}

class Parser {
  #place: Place
  #source: string
  #slotOf: SlotOf
  #tokens: string[]
  #at = 0

  constructor (place: Place, source: string, slotOf: SlotOf) {
    this.#place = place
    this.#source = source
    this.#slotOf = slotOf
    this.#tokens = this.#tokenize()
  }

  whole (): Typed {
    const expression = this.#coalesce()
    if (this.#at < this.#tokens.length) this.#refuse()
    return expression
  }

  #tokenize () {
    const tokens: string[] = []
    TOKEN.lastIndex = 0
    const end = this.#source.trimEnd().length
    while (TOKEN.lastIndex < end) {
      const match = TOKEN.exec(this.#source)
      if (!match) this.#refuse()
      tokens.push(match[0].trim())
    }
    return tokens
  }

  /** `long? ?? number` */
  #coalesce (): Typed {
    const left = this.#or()
    if (!this.#takes('??')) return left
    const right = this.#coalesce()
    if (left.type !== 'long?' || !['int', 'long'].includes(right.type)) this.#refuse()
    return { type: 'long', evaluate: (context) => left.evaluate(context) ?? right.evaluate(context) }
  }

  #or (): Typed {
    let left = this.#and()
    while (this.#takes('||')) {
      const [a, b] = this.#both(left, this.#and(), ['bool'])
      left = { type: 'bool', evaluate: (context) => a(context) || b(context) }
    }
    return left
  }

  #and (): Typed {
    let left = this.#equality()
    while (this.#takes('&&')) {
      const [a, b] = this.#both(left, this.#equality(), ['bool'])
      left = { type: 'bool', evaluate: (context) => a(context) && b(context) }
    }
    return left
  }

  #equality (): Typed {
    const left = this.#comparison()
    const operator = ['==', '!='].find((operator) => this.#takes(operator))
    if (!operator) return left
    const [a, b] = this.#both(left, this.#comparison(), STRINGS.includes(left.type) ? STRINGS : NUMBERS)
    // A missing value and null are one
    if (operator === '==') return { type: 'bool', evaluate: (context) => (a(context) ?? null) === (b(context) ?? null) }
    return { type: 'bool', evaluate: (context) => (a(context) ?? null) !== (b(context) ?? null) }
  }

  #comparison (): Typed {
    const left = this.#sum()
    if (!this.#takes('>')) return left
    const [a, b] = this.#both(left, this.#sum(), ['int', 'long'])
    return { type: 'bool', evaluate: (context) => a(context) > b(context) }
  }

  /** Strings; null is the empty one. */
  #sum (): Typed {
    let left = this.#unary()
    while (this.#takes('+')) {
      const [a, b] = this.#both(left, this.#unary(), ['string'])
      left = { type: 'string', evaluate: (context) => `${a(context) ?? ''}${b(context) ?? ''}` }
    }
    return left
  }

  #unary (): Typed {
    const cast = this.#cast()
    return cast ? this.#converted(cast, this.#unary()) : this.#postfixed(this.#primary())
  }

  #cast (): Cast | undefined {
    const cast = CASTS.find((type) => {
      const tokens = ['(', ...type.match(/\w+|\?/g)!, ')']
      return tokens.every((token, i) => this.#tokens[this.#at + i] === token)
    })
    if (cast) this.#at += cast.endsWith('?') ? 4 : 3
    return cast
  }

  #converted (cast: Cast, { type, evaluate }: Typed): Typed {
    const fail = (): never => { throw new ExpressionFailure(`a value is no ${cast}`) }
    if (cast === 'string' && ['object', 'JToken'].includes(type)) {
      return {
        type: 'string',
        evaluate: (context) => {
          const value = evaluate(context) ?? null
          return value === null || typeof value === 'string' ? value : fail()
        }
      }
    }
    if (cast === 'long?' && type === 'JToken') {
      return {
        type: 'long?',
        evaluate: (context) => {
          const value = evaluate(context) ?? null
          return value === null || Number.isSafeInteger(value) ? value : fail()
        }
      }
    }
    if (cast === 'IResponse' && type === 'object') {
      return {
        type: 'IResponse',
        evaluate: (context) => {
          const value = evaluate(context) ?? null
          return value === null || value instanceof PolicyResponse ? value : fail()
        }
      }
    }
    if (cast === 'JObject' && type === 'object') {
      return {
        type: 'JObject',
        evaluate: (context) => {
          const value = evaluate(context) ?? null
          return value === null || (typeof value === 'object' && !(value instanceof PolicyResponse)) ? value : fail()
        }
      }
    }
    return this.#refuse()
  }

  #primary (): Typed {
    const token = this.#tokens[this.#at++] ?? this.#refuse()
    if (token.startsWith('"')) {
      const text = token.slice(1, -1).replace(/\\(.)/g, '$1')
      return { type: 'string', evaluate: () => text }
    }
    if (/^\d/.test(token)) {
      const number = Number(token)
      return { type: 'int', evaluate: () => number }
    }
    if (token === '(') {
      const inner = this.#coalesce()
      this.#take(')')
      return inner
    }
    if (token === 'null') return { type: 'null', evaluate: () => null }
    this.#at--
    if (this.#takesAll('long', '.', 'MaxValue')) return { type: 'long', evaluate: () => Number.MAX_SAFE_INTEGER }
    if (this.#takesAll('DateTimeOffset', '.', 'UtcNow', '.', 'ToUnixTimeSeconds', '(', ')')) return { type: 'long', evaluate: () => Math.floor(Date.now() / 1_000) }
    if (this.#takesAll('new', 'JObject', '(')) return this.#newObject()
    if (this.#takesAll('context', '.')) return this.#member()
    return this.#refuse()
  }

  #member (): Typed {
    if (this.#takesAll('RequestId')) return { type: 'Guid', evaluate: ({ requestId }) => requestId }
    if (this.#takesAll('Subscription', '.', 'Id')) return { type: 'string', evaluate: ({ subscriptionId }) => subscriptionId }
    if (this.#takesAll('Request', '.', 'IpAddress')) return { type: 'string', evaluate: ({ clientAddress }) => clientAddress }
    if (this.#takesAll('Request', '.', 'Method')) {
      return { type: 'string', evaluate: ({ requestMethod }) => requestMethod }
    }
    if (this.#takesAll('Request', '.', 'OriginalUrl', '.', 'Path')) {
      return { type: 'string', evaluate: ({ requestPath }) => requestPath }
    }
    if (this.#takesAll('LastError', '.', 'Section')) return { type: 'string', evaluate: ({ errorSection }) => errorSection }
    if (this.#takesAll('Response', '.', 'StatusCode')) {
      return {
        type: 'int',
        evaluate: ({ responseStatus }) => {
          if (responseStatus === undefined) throw new ExpressionFailure('there is no response yet')
          return responseStatus
        }
      }
    }
    if (this.#takesAll('Response', '.', 'Headers', '.', 'GetValueOrDefault', '(')) {
      const name = this.#string().toLowerCase()
      this.#take(',')
      const otherwise = this.#string()
      this.#take(')')
      return { type: 'string', evaluate: (context) => context.responseField(name) ?? otherwise }
    }
    if (this.#takesAll('Variables', '[')) {
      const name = this.#string()
      this.#take(']')
      const slot = this.#slotOf(name)
      if (slot === undefined) throw new PolicyError(this.#place, `no statement sets the variable ${name}`)
      return {
        type: 'object',
        evaluate: ({ variables }) => {
          const value = variables[slot]
          if (value === undefined) throw new ExpressionFailure(`the variable ${name} is not set`)
          return value
        }
      }
    }
    return this.#refuse()
  }

  /** `new JObject(new JProperty("name", value), …)`, whose "(" is taken */
  #newObject (): Typed {
    const properties: Array<[string, Evaluate]> = []
    do {
      if (!this.#takesAll('new', 'JProperty', '(')) this.#refuse()
      const name = this.#string()
      this.#take(',')
      const { type, evaluate } = this.#coalesce()
      if (!['string', 'int', 'long'].includes(type)) this.#refuse()
      properties.push([name, evaluate])
      this.#take(')')
    } while (this.#takes(','))
    this.#take(')')
    return { type: 'JObject', evaluate: (context) => Object.fromEntries(properties.map(([name, evaluate]) => [name, evaluate(context)])) }
  }

  #postfixed (operand: Typed): Typed {
    for (;;) {
      const next = this.#postfix(operand)
      if (!next) return operand
      operand = next
    }
  }

  #postfix ({ type, evaluate }: Typed): Typed | undefined {
    if (type === 'Guid' && this.#takesAll('.', 'ToString', '(', ')')) return { type: 'string', evaluate }
    if (type === 'JObject' && this.#takesAll('.', 'ToString', '(', ')')) return { type: 'string', evaluate: (context) => JSON.stringify(evaluate(context)) }
    if (type === 'IResponse') {
      if (this.#takesAll('.', 'StatusCode')) return { type: 'int', evaluate: (context) => present(evaluate(context)).statusCode }
      if (this.#takesAll('?.', 'StatusCode')) return { type: 'int?', evaluate: (context) => evaluate(context)?.statusCode }
      if (this.#takesAll('.', 'Body', '.', 'As', '<', 'JObject', '>', '(', ')')) return { type: 'JObject', evaluate: (context) => parsed(present(evaluate(context)).body) }
    }
    if (type === 'JObject' || type === 'JToken') {
      const orNull = this.#takes('?[')
      if (orNull || this.#takes('[')) {
        const name = this.#string()
        this.#take(']')
        if (orNull) return { type: 'JToken', evaluate: (context) => property(evaluate(context), name) }
        return { type: 'JToken', evaluate: (context) => property(present(evaluate(context)), name) }
      }
    }
    return undefined
  }

  #string () {
    const token = this.#tokens[this.#at++]
    if (!token?.startsWith('"')) return this.#refuse()
    return token.slice(1, -1).replace(/\\(.)/g, '$1')
  }

  #both (left: Typed, right: Typed, types: Type[]): [Evaluate<any>, Evaluate<any>] {
    if (!types.includes(left.type) || !types.includes(right.type)) this.#refuse()
    return [left.evaluate, right.evaluate]
  }

  #takes (token: string) {
    if (this.#tokens[this.#at] !== token) return false
    this.#at++
    return true
  }

  #takesAll (...tokens: string[]) {
    if (!tokens.every((token, i) => this.#tokens[this.#at + i] === token)) return false
    this.#at += tokens.length
    return true
  }

  #take (token: string) {
    if (!this.#takes(token)) this.#refuse()
  }

  #refuse (): never {
    throw new PolicyError(this.#place, `the form of the expression is not known: ${this.#source}`)
  }
}

function present<T> (value: T | null | undefined): T {
  if (value === null || value === undefined) throw new ExpressionFailure('a value is null')
  return value
}

function property (value: unknown, name: string): unknown {
  if (value === null || value === undefined) return null
  if (typeof value !== 'object') throw new ExpressionFailure('a value has no properties')
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : null
}

function parsed (body: string): object {
  try {
    const value = JSON.parse(body)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {}
  // The parser's own message could quote a key
  throw new ExpressionFailure('a body is no JSON object')
}
