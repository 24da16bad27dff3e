import { readAttributes, type Readers, type Values } from './attributes.ts'
import type { Scope } from './documents.ts'
import { childrenNamed, refuse, type Element, type Section } from './elements.ts'
import type { Engine, Facts, Step } from './exchange.ts'

/** What the statements of one API share while they are compiled. */
export interface Compilation {
  engine: Engine
  facts: Facts
  /** The variables that a statement sets. */
  variables: ReadonlySet<string>
  /** Compiles statements, which run one after the other. */
  compileAll: (elements: Element[]) => Step
}

/** Where a statement is allowed, if not everywhere. */
interface Allowed {
  sections?: Section[]
  scope?: Scope
}

export type Statement = (element: Element, compilation: Compilation) => Step
type Compile<R extends Readers> = (attributes: Values<R>, compilation: Compilation, element: Element) => Step

/** A statement with the attributes that `readers` read. */
export function statement<R extends Readers> (
  readers: R, compile: Compile<R>, { sections, scope }: Allowed = {}
): Statement {
  return (element, compilation) => {
    const { name, file, section } = element
    if (sections?.includes(section) === false) refuse(element, `<${name}> is not allowed in ${section}`)
    if (scope && file !== `${scope}.xml`) refuse(element, `<${name}> is not allowed in ${file}`)
    return compile(readAttributes(element, readers, compilation.variables), compilation, element)
  }
}

/** A statement that has attributes only. */
export function emptyStatement<R extends Readers> (readers: R, compile: Compile<R>, allowed?: Allowed) {
  return statement(readers, (attributes, compilation, element) => {
    childrenNamed(element, [])
    return compile(attributes, compilation, element)
  }, allowed)
}
