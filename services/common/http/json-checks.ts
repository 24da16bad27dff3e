/** The path of a value in JSON: names of properties and indexes of items. */
export type Path = Array<string | number>

interface Schema {
  properties?: Record<string, Schema>
  items?: Schema
}

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g

/** Whether an object in `text`, which is valid JSON and was parsed to `value`, has duplicate names. */
export function hasRepeatedName (text: string, value: unknown) {
  return countNames(text) !== countProperties(value)
}

/** The path of the first duplicate property in `text`, which is valid JSON. */
export function findRepeatedName (text: string): Path | undefined {
  const holders: Array<{ names: Set<string>, key: string | number }> = []
  let string = ''
  for (const [token] of text.matchAll(TOKENS)) {
    const holder = holders.at(-1)!
    if (token === '{' || token === '[') holders.push({ names: new Set(), key: 0 })
    else if (token === '}' || token === ']') holders.pop()
    else if (token === ',' && typeof holder.key === 'number') holder.key++
    else if (token === ':') {
      holder.key = JSON.parse(string) as string
      if (holder.names.has(holder.key)) return holders.map(({ key }) => key)
      holder.names.add(holder.key)
    } else string = token
  }
}

/** The path of the first string that has NUL or an unpaired surrogate; for a name, the path of its object. */
export function findUnstorable (value: unknown, path: Path = []): Path | undefined {
  if (typeof value === 'string') return isStorable(value) ? undefined : path
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, inner] of Object.entries(value)) {
    if (!isStorable(name)) return path
    const found = findUnstorable(inner, [...path, Array.isArray(value) ? Number(name) : name])
    if (found) return found
  }
}

/** A JSON Pointer as a URI fragment, up to the first name that `schema` lacks: it could be health data. */
export function pointerTo (path: Path, schema: Schema | undefined) {
  let pointer = '#'
  for (const step of path) {
    const { properties = {}, items }: Schema = schema ?? {}
    if (typeof step === 'number') schema = items
    else schema = Object.hasOwn(properties, step) ? properties[step] : undefined
    if (!schema) break
    pointer += `/${step}`
  }
  return pointer
}

function isStorable (text: string) {
  return text.isWellFormed() && !text.includes('\0')
}

function countNames (text: string) {
  let count = 0
  let start = text.indexOf('"')
  while (start !== -1) {
    let after = endOfString(text, start) + 1
    while (isWhiteSpace(text.charCodeAt(after))) after++
    if (text[after] === ':') count++
    start = text.indexOf('"', after)
  }
  return count
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString (text: string, start: number) {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let escapes = end
    while (text[escapes - 1] === '\\') escapes--
    if ((end - escapes) % 2 === 0) return end
  }
}

function isWhiteSpace (code: number) {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

// Not recursive, since a body may be nested deeper than the stack allows
function countProperties (value: unknown) {
  let count = 0
  const values = [value]
  for (const one of values) {
    if (typeof one !== 'object' || one === null) continue
    const inner = Object.values(one)
    if (!Array.isArray(one)) count += inner.length
    for (const value of inner) if (typeof value === 'object') values.push(value)
  }
  return count
}
