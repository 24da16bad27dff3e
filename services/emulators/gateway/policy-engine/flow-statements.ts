import { setTimeout as sleep } from 'node:timers/promises'
import {
  duration, expression, fieldName, flag, literal, number, oneOf, readAttributes, textOf
} from './attributes.ts'
import { checkAttributes, childrenNamed, childrenOf, refuse, refuseTag, type Element } from './elements.ts'
import type { Evaluate } from './exchange.ts'
import { statement, type Compilation, type Statement } from './statement.ts'

const condition = expression<boolean>('bool')
const RESPONSE = '<set-status>, any <set-header> and <set-body>, in this order'

/** The statements that decide what runs next. */
export const flowStatements: Record<string, Statement> = {
  choose: statement({}, (_attributes, compilation, element) => {
    const children = childrenOf(element)
    if (children.length === 0) refuse(element, '<choose> requires <when>')
    const branches = children.map((child, i) => {
      const isLast = i > 0 && i === children.length - 1
      const applies = readCondition(child, isLast, compilation)
      return { applies, run: compilation.compileAll(childrenOf(child)) }
    })
    return (exchange) => branches.find(({ applies }) => applies(exchange))?.run(exchange)
  }),

  retry: statement(
    { condition, count: number, interval: duration, 'first-fast-retry': flag },
    ({ condition, count, interval, 'first-fast-retry': isFirstFast }, { compileAll }, element) => {
      if (count < 1 || count > 50) refuse(element, 'count must be 1 to 50')
      const run = compileAll(childrenOf(element))
      return async (exchange) => {
        await run(exchange)
        for (let retries = 0; retries < count && !exchange.isOver && condition(exchange); retries++) {
          if (retries > 0 || !isFirstFast) await sleep(interval * 1_000)
          await run(exchange)
        }
      }
    }
  ),

  'return-response': statement({}, (_attributes, { variables }, element) => {
    const [status, ...rest] = childrenOf(element)
    const body = rest.pop()
    if (status?.name !== 'set-status' || body?.name !== 'set-body') {
      refuse(element, `<return-response> requires ${RESPONSE}`)
    }
    childrenNamed(status, [])
    const { code } = readAttributes(status, { code: number, reason: literal })
    if (code < 200 || code > 599) refuse(status, 'code must be a status from 200 to 599')
    const headers = rest.map((header) => readHeader(header, variables))
    const text = textOf(body, variables)
    return (exchange) => {
      const values = Object.fromEntries(headers.map(([name, value]) => [name, value(exchange)]))
      exchange.answer(code, values, text(exchange))
    }
  })
}

/** The condition of a `<when>`, or of an `<otherwise>`, which comes last. */
function readCondition (branch: Element, isLast: boolean, { variables }: Compilation): Evaluate<boolean> {
  if (branch.name === 'when') return readAttributes(branch, { condition }, variables).condition
  if (branch.name !== 'otherwise' || !isLast) refuseTag(branch)
  checkAttributes(branch)
  return () => true
}

function readHeader (element: Element, variables: ReadonlySet<string>): [string, Evaluate<string>] {
  if (element.name !== 'set-header') refuseTag(element)
  const { name } = readAttributes(element, { name: fieldName, 'exists-action': oneOf('override') })
  return [name, textOf(childrenNamed(element, ['value']).value, variables)]
}
