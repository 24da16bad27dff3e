import { corsOf } from './cors.ts'
import { compileExpression, type Evaluate, type SlotOf, type Type } from './expressions.ts'
import {
  isDeletion,
  fieldName,
  checkAttributes,
  empty,
  holding,
  named,
  expressionIn,
  literal,
  number,
  seconded,
  flag,
  internal
} from './elements.ts'
import type { Engine, Facts, LimitKind, Pipeline, Step } from './exchange.ts'
import { PolicyError, SECTIONS, type Documents, type Element, type Scope, type Section } from './documents.ts'

// The documents become functions when the gateway starts. Each statement knows the one that follows it, so that a
// request walks through them without looking at a document, and waits only where a statement has to.

const CHAINS: Record<'patient' | 'echo', Scope[]> = { patient: ['patient', 'product', 'global'], echo: ['echo', 'product', 'global'] }

/**
 * The effective policy of an API: its own document, in which `<base />` stands for the product's, and there for that of
 * all APIs.
 *
 * @throws {PolicyError} a statement, an attribute or a form of an expression is not known
 */
export function compile (api: 'patient' | 'echo', documents: Documents, engine: Engine): Pipeline {
  return new Compiler(api, documents, engine).pipeline()
}

interface Statement {
  sections?: Section[]
  scopes?: Scope[]
  required?: string[]
  optional?: string[]
  compile (element: Element, next: Step): Step
}

class Compiler {
  #api: 'patient' | 'echo'
  #documents: Documents
  #engine: Engine
  #slots = new Map<string, number>()
  #retries = 0
  #section: Section = 'inbound'
  #scope: Scope = 'global'
  #lookedUpInbound = new Set<string>()
  #stored: Array<{ key: string, place: Element, seconds: number }> = []
  #forwards: Facts['forwards'] = []
  #statements: Record<string, Statement>

  constructor (api: 'patient' | 'echo', documents: Documents, engine: Engine) {
    this.#api = api
    this.#documents = documents
    this.#engine = engine
    this.#statements = this.#known()
  }

  pipeline (): Pipeline {
    for (const scope of CHAINS[this.#api]) {
      for (const section of SECTIONS) this.#declare(this.#documents[scope].sections[section])
    }
    const onError = this.#enter('on-error', () => {})
    const outbound = this.#enter('outbound', (exchange) => exchange.commit())
    const backend = this.#enter('backend', outbound)
    const begin = this.#enter('inbound', backend)
    if (this.#forwards.length === 0) throw new PolicyError(this.#documents[this.#api], 'the backend section forwards nothing')
    const cached = this.#stored.filter(({ key }) => this.#lookedUpInbound.has(key)).map(({ place, seconds }) => ({ place, seconds }))
    return { begin, onError, variables: this.#slots.size, retries: this.#retries, facts: { cached, forwards: this.#forwards } }
  }

  /** Variables may be read before the statement that sets them stands, in a retry. */
  #declare (elements: Element[]) {
    for (const { name, attributes, children } of elements) {
      const variable = { 'set-variable': attributes.name, 'cache-lookup-value': attributes['variable-name'], 'send-request': attributes['response-variable-name'] }[name]
      if (variable !== undefined && !this.#slots.has(variable)) this.#slots.set(variable, this.#slots.size)
      this.#declare(children)
    }
  }

  #enter (section: Section, next: Step): Step {
    const statements = this.#sectionOf(CHAINS[this.#api], section, next)
    return (exchange) => {
      exchange.section = section
      statements(exchange)
    }
  }

  #sectionOf ([scope, ...parents]: Scope[], section: Section, next: Step): Step {
    const elements = this.#documents[scope!].sections[section]
    // What API Management demands of this section
    if (section === 'backend' && elements.length > 1) throw new PolicyError(elements[1]!, 'the backend section holds one statement')
    if (elements.filter(({ name }) => name === 'base').length > 1) throw new PolicyError(elements[0]!, '<base> stands twice in a section')
    return this.#sequence(elements, next, (base, next) => {
      this.#check(base, {})
      if (parents.length === 0) throw new PolicyError(base, 'there is nothing above the policy of all APIs')
      return this.#sectionOf(parents, section, next)
    }, scope!, section)
  }

  #sequence (elements: Element[], next: Step, base?: (element: Element, next: Step) => Step, scope = this.#scope, section = this.#section): Step {
    let step = next
    for (let i = elements.length - 1; i >= 0; i--) {
      const element = elements[i]!
      if (element.name === 'base' && base) {
        step = base(element, step)
        continue
      }
      this.#scope = scope
      this.#section = section
      // Deletions that follow one another are done in one go
      const deleted = new Set<string>()
      for (; elements[i] && isDeletion(elements[i]!); i--) {
        this.#check(elements[i]!, this.#statements['set-header']!)
        deleted.add(fieldName(elements[i]!))
      }
      if (deleted.size > 0) {
        i++
        const after = step
        step = (exchange) => {
          exchange.deleteFields(deleted)
          after(exchange)
        }
      } else {
        step = this.#statement(element, step)
      }
    }
    return step
  }

  #statement (element: Element, next: Step): Step {
    const statement = Object.hasOwn(this.#statements, element.name) ? this.#statements[element.name]! : undefined
    if (!statement) throw new PolicyError(element, `<${element.name}> is not known here`)
    this.#check(element, statement)
    return statement.compile(element, next)
  }

  #check (element: Element, { sections, scopes, required = [], optional = [] }: Omit<Statement, 'compile'>) {
    if (sections && !sections.includes(this.#section)) throw new PolicyError(element, `<${element.name}> may not stand in ${this.#section}`)
    if (scopes && !scopes.includes(this.#scope)) throw new PolicyError(element, `<${element.name}> may not stand in ${element.file}`)
    checkAttributes(element, required, optional)
  }

  #known (): Record<string, Statement> {
    return {
      'set-header': {
        sections: ['inbound', 'backend'],
        required: ['name', 'exists-action'],
        compile: (element, next) => {
          const [name, value] = this.#field(element)
          return (exchange) => {
            exchange.setField(name, value(exchange))
            next(exchange)
          }
        }
      },
      'set-query-parameter': {
        sections: ['inbound', 'backend'],
        required: ['name', 'exists-action'],
        compile: (element, next) => {
          empty(element)
          if (element.attributes['exists-action'] !== 'delete') throw new PolicyError(element, 'exists-action must be delete here')
          const name = literal(element, 'name').toLowerCase()
          return (exchange) => {
            exchange.deleteParameter(name)
            next(exchange)
          }
        }
      },
      'set-backend-service': {
        sections: ['inbound', 'backend'],
        required: ['base-url'],
        compile: (element, next) => {
          empty(element)
          const url = literal(element, 'base-url')
          if (!/^https?:\/\/[^/\s]+$/.test(url)) throw new PolicyError(element, 'base-url must be an http or https URL without a path')
          this.#engine.backend(url)
          return (exchange) => {
            exchange.setBackend(url)
            next(exchange)
          }
        }
      },
      'set-variable': {
        required: ['name', 'value'],
        compile: (element, next) => {
          empty(element)
          const slot = this.#slots.get(literal(element, 'name'))!
          const value = this.#attribute(element, 'value', 'object')
          return (exchange) => {
            exchange.variables[slot] = value(exchange) ?? null
            next(exchange)
          }
        }
      },
      'cache-lookup-value': {
        required: ['key', 'variable-name', 'default-value', 'caching-type'],
        compile: (element, next) => {
          empty(element)
          internal(element)
          const key = literal(element, 'key')
          if (this.#section === 'inbound') this.#lookedUpInbound.add(key)
          const slot = this.#slots.get(literal(element, 'variable-name'))!
          const otherwise = this.#attribute(element, 'default-value', 'string')
          const { cache } = this.#engine
          return (exchange) => {
            exchange.variables[slot] = cache.lookup(key) ?? otherwise(exchange)
            next(exchange)
          }
        }
      },
      'cache-store-value': {
        required: ['key', 'value', 'duration', 'caching-type'],
        compile: (element, next) => {
          empty(element)
          internal(element)
          const key = literal(element, 'key')
          const seconds = seconded(element, 'duration')
          this.#stored.push({ key, place: element, seconds })
          const value = this.#attribute<string>(element, 'value', 'string')
          const { cache } = this.#engine
          return (exchange) => {
            cache.store(key, value(exchange), seconds)
            next(exchange)
          }
        }
      },
      choose: {
        compile: (element, next) => this.#choose(element, next)
      },
      retry: {
        required: ['condition', 'count', 'interval', 'first-fast-retry'],
        compile: (element, next) => this.#retry(element, next)
      },
      'send-request': {
        required: ['mode', 'response-variable-name', 'timeout', 'ignore-error'],
        compile: (element, next) => this.#sendRequest(element, next)
      },
      'forward-request': {
        sections: ['backend'],
        required: ['timeout'],
        optional: ['buffer-request-body'],
        compile: (element, next) => {
          empty(element)
          const seconds = seconded(element, 'timeout')
          const buffer = flag(element, 'buffer-request-body')
          if (this.#forwards.some(({ place: { file } }) => file === element.file)) throw new PolicyError(element, '<forward-request> stands twice in a document')
          this.#forwards.push({ place: element, seconds })
          return (exchange) => exchange.forward(seconds * 1_000, buffer, next)
        }
      },
      'return-response': {
        compile: (element) => this.#returnResponse(element)
      },
      cors: {
        sections: ['inbound'],
        scopes: ['global'],
        required: ['allow-credentials', 'terminate-unmatched-request'],
        compile: (element, next) => {
          const policy = corsOf(element)
          // On Azure the statement is left out then
          if (policy.origins.length > 0) this.#engine.cors(policy)
          return next
        }
      },
      'rate-limit': this.#limit('rate-limit'),
      quota: this.#limit('quota')
    }
  }

  #limit (kind: LimitKind): Statement {
    return {
      sections: ['inbound'],
      scopes: ['product'],
      required: ['calls', 'renewal-period'],
      compile: (element, next) => {
        empty(element)
        const check = this.#engine.limit(kind, number(element, 'calls'), seconded(element, 'renewal-period'))
        // On one machine 0 calls are no limit
        if (!check) return next
        return (exchange) => exchange.wait(check(exchange), () => next(exchange))
      }
    }
  }

  #choose (element: Element, next: Step): Step {
    const { children } = element
    if (element.text) throw new PolicyError(element, '<choose> holds text')
    const whens = children.filter(({ name }) => name === 'when')
    const rest = children.slice(whens.length)
    if (whens.length === 0) throw new PolicyError(element, '<choose> has no <when>')
    if (rest.length > 1 || rest.some(({ name }) => name !== 'otherwise')) throw new PolicyError(rest[0]!, `<${rest[0]!.name}> is not known here`)
    const [scope, section] = [this.#scope, this.#section]
    const branch = (branch: Element) => {
      this.#scope = scope
      this.#section = section
      return this.#sequence(holding(branch), next)
    }
    let step = next
    for (const otherwise of rest) {
      checkAttributes(otherwise, [])
      step = branch(otherwise)
    }
    for (const when of whens.toReversed()) {
      checkAttributes(when, ['condition'])
      const condition = this.#attribute<boolean>(when, 'condition', 'bool')
      const yes = branch(when)
      const no = step
      step = (exchange) => condition(exchange) ? yes(exchange) : no(exchange)
    }
    return step
  }

  #retry (element: Element, next: Step): Step {
    const condition = this.#attribute<boolean>(element, 'condition', 'bool')
    const count = number(element, 'count')
    const intervalMs = seconded(element, 'interval') * 1_000
    const atOnce = flag(element, 'first-fast-retry')
    if (count < 1 || count > 50) throw new PolicyError(element, 'count must be 1 to 50')
    const slot = this.#retries++
    const again: Step = (exchange) => {
      const { retries } = exchange
      if (retries[slot]! >= count || !condition(exchange)) return next(exchange)
      if (retries[slot]!++ === 0 && atOnce) body(exchange)
      else exchange.wait(new Promise((resolve) => setTimeout(resolve, intervalMs)), () => body(exchange))
    }
    const body = this.#sequence(holding(element), again)
    return (exchange) => {
      exchange.retries[slot] = 0
      body(exchange)
    }
  }

  #sendRequest (element: Element, next: Step): Step {
    const { 'response-variable-name': variable, mode } = element.attributes
    if (mode !== 'new') throw new PolicyError(element, 'mode must be new here')
    const slot = this.#slots.get(variable!)!
    const timeoutMs = seconded(element, 'timeout') * 1_000
    const ignoreError = flag(element, 'ignore-error')
    const parts = named(element, ['set-url', 'set-method', 'authentication-managed-identity'])
    checkAttributes(parts['set-url'], [])
    checkAttributes(parts['set-method'], [])
    const url = this.#text(parts['set-url'])
    const method = parts['set-method'].text
    if (method !== 'GET') throw new PolicyError(parts['set-method'], 'the method must be GET here')
    const identity = parts['authentication-managed-identity']
    empty(identity)
    checkAttributes(identity, ['resource', 'client-id'])
    const resource = literal(identity, 'resource')
    const clientId = identity.attributes['client-id']!
    const { request } = this.#engine
    return (exchange) => {
      const asked = request({ url: url(exchange), method, resource, clientId, timeoutMs })
      const answered = ignoreError
        ? asked.catch((error) => {
          exchange.unanswered(error)
          return null
        })
        : asked
      exchange.wait(answered, (answer) => {
        exchange.variables[slot] = answer
        next(exchange)
      })
    }
  }

  #returnResponse (element: Element): Step {
    if (element.text) throw new PolicyError(element, '<return-response> holds text')
    const [status, ...rest] = element.children
    const body = rest.pop()
    if (status?.name !== 'set-status' || body?.name !== 'set-body') throw new PolicyError(element, '<return-response> must hold <set-status>, <set-header>s and <set-body>, in this order')
    empty(status)
    checkAttributes(status, ['code', 'reason'])
    checkAttributes(body, [])
    const code = number(status, 'code')
    if (code < 200 || code > 599) throw new PolicyError(status, 'code must be a status')
    const fields = rest.map((header) => {
      if (header.name !== 'set-header') throw new PolicyError(header, `<${header.name}> is not known here`)
      checkAttributes(header, ['name', 'exists-action'])
      return this.#field(header)
    })
    const text = this.#text(body)
    return (exchange) => exchange.answer(code, fields.map(([name, value]) => [name, value(exchange)]), text(exchange))
  }

  /** The name and the one value of a set-header. */
  #field (element: Element): [string, Evaluate<string>] {
    if (element.attributes['exists-action'] !== 'override') throw new PolicyError(element, 'exists-action must be override or delete here')
    const { value } = named(element, ['value'])
    checkAttributes(value, [])
    return [fieldName(element), this.#text(value)]
  }

  /** An attribute, which may be an expression of the type that is wanted. */
  #attribute<T> (element: Element, name: string, wanted: Type): Evaluate<T> {
    const value = element.attributes[name]!
    const source = expressionIn(element, value)
    if (source !== undefined) return compileExpression(element, source, wanted, this.#slotOf)
    if (wanted !== 'string' && wanted !== 'object') throw new PolicyError(element, `${name} must be an expression`)
    return () => value as T
  }

  /** The text of an element, which may be an expression. */
  #text (element: Element): Evaluate<string> {
    const { text, children } = element
    if (children[0]) throw new PolicyError(children[0], `<${children[0].name}> is not known here`)
    if (!text) throw new PolicyError(element, `<${element.name}> is empty`)
    const source = expressionIn(element, text)
    return source === undefined ? () => text : compileExpression(element, source, 'string', this.#slotOf)
  }

  #slotOf: SlotOf = (variable) => this.#slots.get(variable)
}
