import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SaxesParser } from 'saxes'
import { SettingsError } from '#common/config.ts'
import {
  SECTIONS, checkAttributes, childrenOf, refuse, type Element, type Place, type Section
} from './elements.ts'

const SCOPES = ['global', 'product', 'patient', 'echo'] as const
export type Scope = typeof SCOPES[number]

export interface Document extends Place {
  sections: Record<Section, Element[]>
}

export type Documents = Record<Scope, Document>

/**
 * Reads the policy documents in `dir`, with `{{…}}` replaced by the named values.
 *
 * @throws {SettingsError}
 */
export function readDocuments (dir: string, namedValues: Record<string, string>) {
  const documents = SCOPES.map((scope) => [scope, readDocument(dir, `${scope}.xml`, namedValues)])
  return Object.fromEntries(documents) as Documents
}

function readDocument (dir: string, file: string, namedValues: Record<string, string>): Document {
  let xml: string
  try {
    xml = readFileSync(join(dir, file), 'utf8')
  } catch (error) {
    throw new SettingsError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
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
  parser.write(xml).close()
  return root!
}

function replaceNamedValues (place: Place, text: string, namedValues: Record<string, string>) {
  return text.replace(/\{\{([^{}]*)\}\}/g, (_, name: string) => {
    if (!Object.hasOwn(namedValues, name)) refuse(place, `there is no named value ${name}`)
    return namedValues[name]!
  })
}
