import { anyText, duration, expression, flag, literal, oneOf, readAttributes, textOf } from './attributes.ts'
import { checkAttributes, childrenNamed, refuse } from './elements.ts'
import { emptyStatement, statement, type Statement } from './statement.ts'

const cached = { key: literal, 'caching-type': oneOf('internal') }
const string = expression<string>('string')

/** The statements that get and keep values. */
export const valueStatements: Record<string, Statement> = {
  'set-variable': emptyStatement(
    { name: literal, value: expression('object') },
    ({ name, value }) => (exchange) => { exchange.variables.set(name, value(exchange)) }
  ),
  'cache-lookup-value': emptyStatement(
    { ...cached, 'variable-name': literal, 'default-value': string },
    ({ key, 'variable-name': name, 'default-value': byDefault }, { engine: { cache }, facts }, element) => {
      if (element.section === 'inbound') facts.lookups.add(key)
      return (exchange) => { exchange.variables.set(name, cache.lookup(key) ?? byDefault(exchange)) }
    }
  ),
  'cache-store-value': emptyStatement(
    { ...cached, value: string, duration },
    ({ key, value, duration: seconds }, { engine: { cache }, facts }, element) => {
      facts.stores.push({ key, element, seconds })
      return (exchange) => cache.store(key, value(exchange), seconds)
    }
  ),
  'send-request': statement(
    { mode: oneOf('new'), 'response-variable-name': literal, timeout: duration, 'ignore-error': flag },
    (attributes, { engine, variables }, element) => {
      const { 'response-variable-name': name, timeout: seconds, 'ignore-error': ignoreError } = attributes
      const parts = childrenNamed(element, ['set-url', 'set-method', 'authentication-managed-identity'])
      const { 'set-url': target, 'set-method': method, 'authentication-managed-identity': identity } = parts
      const url = textOf(target, variables)
      checkAttributes(method)
      if (method.text !== 'GET') refuse(method, 'the method must be GET')
      childrenNamed(identity, [])
      const { resource, 'client-id': clientId } =
        readAttributes(identity, { resource: literal, 'client-id': anyText })
      return async (exchange) => {
        const request = { url: url(exchange), method: 'GET', resource, clientId, timeoutMs: seconds * 1_000 }
        const response = await engine.sendRequest(request).catch((err) => {
          if (!ignoreError) throw err
          const { log, id: requestId } = exchange.request
          log.warn({ err, requestId }, 'a send-request of the policies failed')
          return null
        })
        exchange.variables.set(name, response)
      }
    }
  )
}
