import type { Document } from './documents.ts'
import {
  SECTIONS, checkAttributes, childrenNamed, refuse, refuseTag, type Element, type Section
} from './elements.ts'
import type { Engine, Facts, Pipeline, Step } from './exchange.ts'
import { flowStatements } from './flow-statements.ts'
import { requestStatements } from './request-statements.ts'
import type { Compilation } from './statement.ts'
import { valueStatements } from './value-statements.ts'

const statements = new Map(Object.entries({ ...flowStatements, ...requestStatements, ...valueStatements }))

/** By statement, the attribute that names the variable which it sets. */
const VARIABLES: Record<string, string> = {
  'set-variable': 'name', 'cache-lookup-value': 'variable-name', 'send-request': 'response-variable-name'
}

/**
 * Compiles the effective policy of an API or operation: the first document of the chain, in which `<base />`
 * is replaced by the next one, down to that of all APIs.
 *
 * @throws {PolicyError} a statement, an attribute or an expression is not supported
 */
export function compile (chain: [Document, ...Document[]], engine: Engine) {
  const facts: Facts = { backends: new Set(), lookups: new Set(), stores: [], forwards: [] }
  // A retry may read a variable before the statement that sets it
  const elements = chain.flatMap(({ sections }) => Object.values(sections).flat())
  const compilation: Compilation = { engine, facts, variables: new Set(variablesOf(elements)), compileAll }

  function compileAll (elements: Element[], base?: (element: Element) => Step) {
    return inOrder(elements.map((element) => {
      if (base && element.name === 'base') return base(element)
      const compileStatement = statements.get(element.name)
      if (!compileStatement) refuseTag(element)
      return compileStatement(element, compilation)
    }))
  }

  function compileSection ([document, ...parents]: Document[], section: Section): Step {
    const elements = document!.sections[section]
    // As API Management requires
    const [first, second] = elements
    if (second && section === 'backend') refuse(second, 'the backend section must contain one statement')
    const bases = elements.filter(({ name }) => name === 'base')
    if (bases.length > 1) refuse(first!, 'a section must not contain two <base>')
    return compileAll(elements, (base) => {
      checkAttributes(base)
      childrenNamed(base, [])
      if (parents.length === 0) refuse(base, 'the policy of all APIs must not contain <base>')
      return compileSection(parents, section)
    })
  }

  const sections = SECTIONS.map((section) => [section, compileSection(chain, section)])
  const [forward] = facts.forwards
  if (!forward) refuse(chain[0], 'the backend section requires <forward-request>')
  return { pipeline: Object.fromEntries(sections) as Pipeline, facts }
}

function inOrder (steps: Step[]): Step {
  return async (exchange) => {
    for (const step of steps) {
      await step(exchange)
      if (exchange.isOver) return
    }
  }
}

function variablesOf (elements: Element[]): string[] {
  return elements.flatMap(({ name, attributes, children }) => {
    const variable = attributes[VARIABLES[name] ?? '']
    return [...variable === undefined ? [] : [variable], ...variablesOf(children)]
  })
}
