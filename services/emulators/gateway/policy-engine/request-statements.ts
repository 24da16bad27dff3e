import { duration, fieldName, literal, number, oneOf, origin, optionalFlag, textOf } from './attributes.ts'
import { readCors } from './cors.ts'
import { childrenNamed, refuse, type Section } from './elements.ts'
import type { LimitKind } from './exchange.ts'
import { emptyStatement, statement, type Statement } from './statement.ts'
import { withoutParameter } from '../keys.ts'

const sections: Section[] = ['inbound', 'backend']

/** The statements that check, change or send the request. */
export const requestStatements: Record<string, Statement> = {
  'set-header': statement(
    { name: fieldName, 'exists-action': oneOf('override', 'delete') },
    ({ name, 'exists-action': action }, { variables }, element) => {
      if (action === 'delete') {
        childrenNamed(element, [])
        return ({ headers }) => { delete headers[name] }
      }
      const value = textOf(childrenNamed(element, ['value']).value, variables)
      return (exchange) => { exchange.headers[name] = value(exchange) }
    },
    { sections }
  ),
  'set-query-parameter': emptyStatement(
    { name: literal, 'exists-action': oneOf('delete') },
    ({ name }) => (exchange) => { exchange.url = withoutParameter(exchange.url, name.toLowerCase()) },
    { sections }
  ),
  'set-backend-service': emptyStatement({ 'base-url': origin }, ({ 'base-url': url }, { facts }) => {
    facts.backends.add(url)
    return (exchange) => { exchange.backend = url }
  }, { sections }),
  'forward-request': emptyStatement(
    // Responses are always streamed here
    { timeout: duration, 'buffer-request-body': optionalFlag, 'buffer-response': optionalFlag },
    ({ timeout: seconds, 'buffer-request-body': buffer }, { facts: { forwards } }, element) => {
      const isSecond = forwards.some((other) => other.element.file === element.file)
      if (isSecond) refuse(element, 'a document must not contain two <forward-request>')
      forwards.push({ element, seconds })
      return (exchange) => exchange.forward(seconds * 1_000, buffer)
    },
    { sections: ['backend'] }
  ),
  cors: statement(
    { 'allow-credentials': oneOf('false'), 'terminate-unmatched-request': oneOf('false') },
    (_attributes, { facts }, element) => {
      facts.cors = readCors(element)
      // Applied before the subscription key is checked
      return () => {}
    },
    { sections: ['inbound'], scope: 'global' }
  ),
  'rate-limit': limit('rate-limit'),
  quota: limit('quota')
}

function limit (kind: LimitKind) {
  return emptyStatement(
    { calls: number, 'renewal-period': duration },
    ({ calls, 'renewal-period': seconds }, { engine }) => engine.limit(kind, calls, seconds),
    { sections: ['inbound'], scope: 'product' }
  )
}
