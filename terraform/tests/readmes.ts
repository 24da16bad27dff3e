// node terraform/tests/readmes.ts: writes the tables of inputs and outputs in the README of each module, in
// the form of terraform-docs.
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const BEGIN = '<!-- BEGIN_TF_DOCS -->'
const END = '<!-- END_TF_DOCS -->'

/** The directories of the modules of a root module. */
export const modules = (root: string) => globSync('modules/**/variables.tf', { cwd: root })
  .map((file) => join(root, dirname(file))).sort()

/** The README of a module as it is, and as its variables and outputs want it. */
export function readme (directory: string) {
  const file = join(directory, 'README.md')
  const current = readFileSync(file, 'utf8')
  const [start] = current.split(BEGIN)
  return { file, current, wanted: `${start}${BEGIN}\n${tables(directory)}\n${END}\n` }
}

function tables (directory: string) {
  const inputs = blocks(directory, 'variables.tf').map(({ name, text }) => {
    const value = valueOf(text, 'default')
    const cells = [name, valueOf(text, 'description'), code(valueOf(text, 'type')), code(value)]
    return row([...cells, value === '' ? 'yes' : 'no'])
  })
  const outputs = blocks(directory, 'outputs.tf')
    .map(({ name, text }) => row([name, valueOf(text, 'description')]))
  return [
    '## Inputs', '', row(['Name', 'Description', 'Type', 'Default', 'Required']),
    '|------|-------------|------|---------|:--------:|', ...inputs, '',
    '## Outputs', '', row(['Name', 'Description']), '|------|-------------|', ...outputs
  ].join('\n')
}

/** The blocks at the top level of a file, by name. */
function blocks (directory: string, file: string) {
  const text = readFileSync(join(directory, file), 'utf8')
  return Array.from(text.matchAll(/^(?:variable|output) "(\w+)" \{\n([\s\S]*?)^\}/gm), ([, name, body]) =>
    ({ name: name!, text: body! })).sort((a, b) => a.name < b.name ? -1 : 1)
}

/** The expression of an argument of a block, with its lines up to the next argument. */
function valueOf (text: string, name: string) {
  const expression = new RegExp(`^ {2}${name} += (.*(?:\\n {3,}.*|\\n {2}[)}\\]].*)*)`, 'm')
  const [, value = ''] = expression.exec(text) ?? []
  return name === 'description' ? value.slice(1, -1).replaceAll('\\"', '"') : value
}

const code = (text: string) => text === ''
  ? 'n/a'
  : `<pre>${text.replaceAll(/^ {2}/gm, '').replaceAll('<', '&lt;').replaceAll('\n', '<br/>')}</pre>`
const row = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

if (import.meta.main) {
  for (const directory of modules(join(import.meta.dirname, '..'))) {
    const { file, wanted } = readme(directory)
    writeFileSync(file, wanted)
  }
}
