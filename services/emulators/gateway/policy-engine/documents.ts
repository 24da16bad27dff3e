import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SaxesParser } from 'saxes'
import { SettingsError } from '#common/config.ts'
import {
  SECTIONS, checkAttributes, childrenOf, refuse, type Element, type Place, type Section
} from './elements.ts'

const SCOPES = ['global', 'product', 'patient', 'echo'] as const
/** The file of a document, without its extension. */
export type Scope = typeof SCOPES[number]

export interface Document extends Place {
  sections: Record<Section, Element[]>
}

/** The documents of all levels for the subscriptions of one product. */
export interface Documents extends Record<Scope, Document> {
  /** That of the APIs audit and log, and of OF_REGISTER. */
  audit: Document
}

/** The documents of the auditor's page, which has no product. */
interface PageDocuments {
  global: Document
  auditor: Document
}

/** What the audit service has in the policies of the patient API. */
const OF_AUDIT = { 'patient-backend-url': 'audit-backend-url', 'patient-host-key': 'audit-query-key' }
const CONDITIONS = 'products.json'

/**
 * Reads the policy documents in `dir`, with `{{…}}` replaced by the named values, for each of the `products`.
 *
 * @throws {SettingsError}
 */
export function readDocuments<P extends string> (
  dir: string, products: readonly P[], namedValues: Record<string, string>
) {
  const texts = Object.fromEntries(SCOPES.map((scope) => [scope, readText(dir, `${scope}.xml`)]))
  const conditions: Record<string, string> = JSON.parse(readText(dir, CONDITIONS))
  const documentOf = (scope: Scope, changes: Record<string, string> = {}) =>
    toDocument(`${scope}.xml`, replaceAll(texts[scope]!, changes), namedValues)
  const shared = { global: documentOf('global'), patient: documentOf('patient'), echo: documentOf('echo') }
  const audit = documentOf('patient', OF_AUDIT)
  const documents = products.map((product): [P, Documents] => {
    const condition = conditions[product] ?? refuse({ file: CONDITIONS, line: 1 }, `${product} is missing`)
    const own = documentOf('product', { [conditions.client!]: condition })
    return [product, { ...shared, audit, product: own }]
  })
  return new Map(documents)
}

/**
 * Reads the policy documents of the auditor's page in `dir`.
 *
 * @throws {SettingsError}
 */
export function readPageDocuments (dir: string, namedValues: Record<string, string>): PageDocuments {
  const documentOf = (name: string) => toDocument(name, readText(dir, name), namedValues)
  return { global: documentOf('global.xml'), auditor: documentOf('auditor.xml') }
}

function replaceAll (text: string, changes: Record<string, string>) {
  return Object.entries(changes).reduce((changed, [from, to]) => changed.replaceAll(from, () => to), text)
}

function readText (dir: string, file: string) {
  try {
    return readFileSync(join(dir, file), 'utf8')
  } catch (error) {
    throw new SettingsError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

function toDocument (file: string, xml: string, namedValues: Record<string, string>): Document {
  const root = parse(file, xml, namedValues)
  if (root.name !== 'policies') refuse(root, `the root must be <policies>, not <${root.name}>`)
  for (const element of [root, ...root.children]) checkAttributes(element)
  const names = childrenOf(root).map(({ name }) => name)
  if (names.join() !== SECTIONS.join()) {
    refuse(root, `<policies> must contain ${SECTIONS.join(', ')}, in this order, not ${names.join(', ')}`)
  }
  const sections = Object.fromEntries(root.children.map((section) => [section.name, childrenOf(section)]))
  return { file, line: root.line, sections: sections as Document['sections'] }
}

function parse (file: string, xml: string, namedValues: Record<string, string>): Element {
  const parser = new SaxesParser({ fileName: file })
  const open: Element[] = []
  let root: Element | undefined
  let line = 1
  const refuseHere = (problem: string) => refuse({ file, line: parser.line }, problem)
  const addText = (text: string) => {
    const element = open.at(-1)
    if (element) element.text += text
  }
  parser.on('error', ({ message }) => refuseHere(`invalid XML: ${message.replace(/^[^:]*:\d+:\d+: /, '')}`))
  parser.on('doctype', () => refuseHere('a document type is not supported'))
  parser.on('processinginstruction', () => refuseHere('a processing instruction is not supported'))
  parser.on('opentagstart', () => { line = parser.line })
  parser.on('opentag', ({ name, attributes: written }) => {
    const attributes = Object.fromEntries(Object.entries(written as Record<string, string>)
      .map(([attribute, value]) => [attribute, replaceNamedValues({ file, line }, value, namedValues)]))
    const section = open[1]?.name as Section
    const element: Element = { file, line, section, name, attributes, children: [], text: '' }
    open.at(-1)?.children.push(element)
    root ??= element
    open.push(element)
  })
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => {
    const element = open.pop()!
    element.text = replaceNamedValues(element, element.text.trim(), namedValues)
  })
  parser.write(toXml(file, xml)).close()
  return root!
}

/**
 * Documents are sent as rawxml, where C# stands as it is. Sources disagree whether character references are
 * decoded inside expressions then, so a document has none, and no `&`. The only `<` in an expression is in a
 * type.
 */
function toXml (file: string, raw: string) {
  const reference = raw.indexOf('&')
  if (reference >= 0) {
    const line = raw.slice(0, reference).split('\n').length
    refuse({ file, line }, '& is not supported: write "a and b" as !(not a || not b)')
  }
  return raw.replaceAll('.As<JObject>()', '.As&lt;JObject&gt;()')
}

function replaceNamedValues (place: Place, text: string, namedValues: Record<string, string>) {
  return text.replace(/\{\{([^{}]*)\}\}/g, (_, name: string) => {
    if (!Object.hasOwn(namedValues, name)) refuse(place, `there is no named value ${name}`)
    return namedValues[name]!
  })
}
