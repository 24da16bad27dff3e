import type { IncomingHttpHeaders } from 'node:http'
import { refuse, type Place } from './elements.ts'
import type { Evaluate } from './exchange.ts'
import {
  CASTS, MEMBERS, OPERATORS, VALUES, apply, cast, parameter, propertyAt, unquote, variable, type Type,
  type Typed
} from './operands.ts'

// Strings, numbers, casts, properties, names with their members, members of other values, operators
const TOKEN = new RegExp([
  /"(?:[^"\\]|\\")*"/, /\d+/, /\((?:string|long\?|IResponse|JObject)\)/, /\??\["[^"\\]*"\]/,
  /(?:new )?[A-Za-z_][\w.]*(?:\(\))?/, /\??\.\w[\w.<>]*(?:\(\))?/, /\?\?|\|\||==|!=|[(),+>!]/
].map(({ source }) => source).join('|'), 'y')

/**
 * Compiles `source`, the C# in `@(…)`, which may use the `variables`.
 *
 * @throws {PolicyError} its form is not supported, or its type is not the `wanted` one
 */
export function compileExpression<T> (
  place: Place, source: string, wanted: Type, variables: ReadonlySet<string>
): Evaluate<T> {
  const { type, evaluate } = new Parser(place, source.trim(), variables).parse()
  if (type !== wanted && wanted !== 'object') {
    refuse(place, `the expression has the type ${type} instead of ${wanted}: ${source}`)
  }
  return evaluate as Evaluate<T>
}

class Parser {
  #place: Place
  #source: string
  #variables: ReadonlySet<string>
  #tokens: string[]
  #next = 0

  constructor (place: Place, source: string, variables: ReadonlySet<string>) {
    this.#place = place
    this.#source = source
    this.#variables = variables
    this.#tokens = this.#tokenize()
  }

  parse (): Typed {
    const expression = this.#binary()
    if (this.#next < this.#tokens.length) this.#refuse()
    return expression
  }

  #tokenize () {
    const tokens: string[] = []
    const token = new RegExp(TOKEN)
    const space = /\s*/y
    for (let at = 0; at < this.#source.length; at = space.lastIndex) {
      token.lastIndex = at
      const [match] = token.exec(this.#source) ?? this.#refuse()
      tokens.push(match)
      space.lastIndex = token.lastIndex
      space.test(this.#source)
    }
    return tokens
  }

  /** Operands and operators, down to the precedence `lowest`. */
  #binary (lowest = 0): Typed {
    let left = this.#unary()
    for (;;) {
      const operator = OPERATORS.get(this.#tokens[this.#next]!)
      if (!operator || operator.precedence < lowest) return left
      this.#next++
      const right = this.#binary(operator.precedence + 1)
      if (!operator.operands.some(([a, b]) => a.includes(left.type) && b.includes(right.type))) this.#refuse()
      left = { type: operator.type, evaluate: apply(operator, left.evaluate, right.evaluate) }
    }
  }

  #unary (): Typed {
    if (this.#tokens[this.#next] === '!') return this.#negation()
    const conversion = CASTS.get(this.#tokens[this.#next]!)
    if (!conversion) return this.#postfix(this.#primary())
    this.#next++
    const { type, evaluate } = this.#unary()
    return conversion.from.includes(type) ? cast(conversion, evaluate) : this.#refuse()
  }

  #negation (): Typed {
    this.#next++
    const { type, evaluate } = this.#unary()
    return type === 'bool' ? { type, evaluate: (context) => !evaluate(context) } : this.#refuse()
  }

  #primary (): Typed {
    const token = this.#tokens[this.#next++] ?? this.#refuse()
    if (token === '(') {
      const inner = this.#binary()
      this.#take(')')
      return inner
    }
    if (token === 'new JObject') return this.#newObject()
    if (token === 'context.Variables') return this.#variable()
    if (token === 'context.Request.MatchedParameters') return this.#parameter()
    if (token === 'context.Request.Headers.GetValueOrDefault') return this.#header(({ headers }) => headers)
    if (token === 'context.Response.Headers.GetValueOrDefault') {
      return this.#header(({ response }) => response?.headers)
    }
    if (token === 'System.Text.RegularExpressions.Regex.IsMatch') return this.#match()
    const literal = token.startsWith('"') ? unquote(token) : Number(token)
    if (typeof literal === 'string') return { type: 'string', evaluate: () => literal }
    if (!Number.isNaN(literal)) return { type: 'int', evaluate: () => literal }
    return VALUES.get(token) ?? this.#refuse()
  }

  /** A value with its members and properties, if any. */
  #postfix ({ type, evaluate }: Typed): Typed {
    const token = this.#tokens[this.#next] ?? ''
    const member = MEMBERS.get(token) ?? propertyAt(token)
    if (!member?.of.includes(type)) return { type, evaluate }
    this.#next++
    return this.#postfix({ type: member.type, evaluate: (context) => member.read(evaluate(context)) })
  }

  /** `new JObject(new JProperty("name", value), …)`, after the name of the type. */
  #newObject (): Typed {
    const properties: Array<[string, Evaluate]> = []
    this.#take('(')
    do {
      this.#take('new JProperty', '(')
      const name = this.#string()
      this.#take(',')
      const { type, evaluate } = this.#binary()
      if (!['string', 'int', 'long'].includes(type)) this.#refuse()
      properties.push([name, evaluate])
      this.#take(')')
    } while (this.#tokens[this.#next++] === ',')
    this.#next--
    this.#take(')')
    const evaluate: Evaluate = (context) =>
      Object.fromEntries(properties.map(([name, evaluate]) => [name, evaluate(context)]))
    return { type: 'JObject', evaluate }
  }

  #variable (): Typed {
    const token = this.#tokens[this.#next++]
    if (!token?.startsWith('[')) return this.#refuse()
    const name = unquote(token)
    if (!this.#variables.has(name)) refuse(this.#place, `no statement sets the variable ${name}`)
    return variable(name)
  }

  /** A parameter of the operation's path. */
  #parameter (): Typed {
    const token = this.#tokens[this.#next++]
    return token?.startsWith('[') ? parameter(unquote(token)) : this.#refuse()
  }

  #header (fields: Evaluate<IncomingHttpHeaders | undefined>): Typed {
    this.#take('(')
    const name = this.#string().toLowerCase()
    this.#take(',')
    const otherwise = this.#string()
    this.#take(')')
    return { type: 'string', evaluate: (context) => fields(context)?.[name]?.toString() ?? otherwise }
  }

  /** `(input, "pattern")`; the pattern must mean the same in C# and JavaScript. */
  #match (): Typed {
    this.#take('(')
    const { type, evaluate } = this.#binary()
    if (type !== 'string') this.#refuse()
    this.#take(',')
    const pattern = new RegExp(this.#string())
    this.#take(')')
    return { type: 'bool', evaluate: (context) => pattern.test(evaluate(context) as string) }
  }

  #string () {
    const token = this.#tokens[this.#next++]
    return token?.startsWith('"') ? unquote(token) : this.#refuse()
  }

  #take (...tokens: string[]) {
    for (const token of tokens) if (this.#tokens[this.#next++] !== token) this.#refuse()
  }

  #refuse (): never {
    refuse(this.#place, `the expression is not supported: ${this.#source}`)
  }
}
