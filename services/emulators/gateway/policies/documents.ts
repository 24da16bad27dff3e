import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SaxesParser } from 'saxes'
import { SettingsError } from '#common/config.ts'

/** Where a policy says something that this gateway does not know, or that does not fit. */
export class PolicyError extends SettingsError {
  override name = 'PolicyError'

  constructor ({ file, line }: Place, problem: string) {
    super(`${file}:${line}: ${problem}`)
  }
}

export interface Place {
  file: string
  line: number
}

export interface Element extends Place {
  name: string
  attributes: Record<string, string>
  children: Element[]
  /** What stands in it beside elements and comments, trimmed. */
  text: string
}

export const SECTIONS = ['inbound', 'backend', 'outbound', 'on-error'] as const
export type Section = typeof SECTIONS[number]

export const SCOPES = ['global', 'product', 'patient', 'echo'] as const
export type Scope = typeof SCOPES[number]

export interface Document extends Place {
  scope: Scope
  sections: Record<Section, Element[]>
}

export type Documents = Record<Scope, Document>

/**
 * The policies as they stand in `dir`, with `{{…}}` replaced by the named values.
 *
 * @throws {PolicyError}
 */
export function readDocuments (dir: string, namedValues: Record<string, string>): Documents {
  return Object.fromEntries(SCOPES.map((scope) => [scope, readDocument(dir, scope, namedValues)])) as Documents
}

function readDocument (dir: string, scope: Scope, namedValues: Record<string, string>): Document {
  const file = `${scope}.xml`
  let xml: string
  try {
    xml = readFileSync(join(dir, file), 'utf8')
  } catch (error) {
    throw new SettingsError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  const root = parse(file, xml, namedValues)
  if (root.name !== 'policies') throw new PolicyError(root, `<${root.name}> in the place of <policies>`)
  bare(root)
  const named = root.children.map(({ name }) => name)
  if (named.join() !== SECTIONS.join()) throw new PolicyError(root, `<policies> must hold ${SECTIONS.join(', ')}, in this order, not ${named.join(', ')}`)
  for (const section of root.children) bare(section)
  const sections = Object.fromEntries(root.children.map(({ name, children }) => [name, children])) as Document['sections']
  return { file, line: root.line, scope, sections }
}

/** @throws {PolicyError} the element has attributes, or text */
function bare (element: Element) {
  const [attribute] = Object.keys(element.attributes)
  if (attribute) throw new PolicyError(element, `<${element.name}> has an attribute that is not known: ${attribute}`)
  if (element.text) throw new PolicyError(element, `<${element.name}> holds text`)
}

function parse (file: string, xml: string, namedValues: Record<string, string>): Element {
  const parser = new SaxesParser({ fileName: file })
  const open: Element[] = []
  let root: Element | undefined
  let line = 1
  parser.on('error', ({ message }) => { throw new PolicyError({ file, line: parser.line }, `is not XML: ${message.replace(/^[^:]*:\d+:\d+: /, '')}`) })
  parser.on('doctype', () => { throw new PolicyError({ file, line: parser.line }, 'a document type') })
  parser.on('processinginstruction', () => { throw new PolicyError({ file, line: parser.line }, 'a processing instruction') })
  parser.on('opentagstart', () => { line = parser.line })
  parser.on('opentag', ({ name, attributes }) => {
    const place = { file, line }
    const element: Element = { ...place, name, attributes: {}, children: [], text: '' }
    for (const [attribute, value] of Object.entries(attributes)) element.attributes[attribute] = withNamedValues(place, value as string, namedValues)
    open.at(-1)?.children.push(element)
    root ??= element
    open.push(element)
  })
  const text = (text: string) => {
    const element = open.at(-1)
    if (element) element.text += text
  }
  parser.on('text', text)
  parser.on('cdata', text)
  parser.on('closetag', () => {
    const element = open.pop()!
    element.text = withNamedValues(element, element.text.trim(), namedValues)
  })
  parser.write(xml).close()
  return root!
}

function withNamedValues (place: Place, text: string, namedValues: Record<string, string>) {
  return text.replace(/\{\{([^{}]*)\}\}/g, (_, name: string) => {
    const value = Object.hasOwn(namedValues, name) ? namedValues[name] : undefined
    if (value === undefined) throw new PolicyError(place, `the named value ${name} is not known`)
    return value
  })
}
