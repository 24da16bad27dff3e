/** The path of a value in JSON: names of properties and indexes of items. */
export type Path = Array<string | number>

interface Schema {
  properties?: Record<string, Schema>
  items?: Schema
}

/** The path of the first duplicate property in `text`, which is valid JSON. */
export function findRepeatedName (text: string): Path | undefined {
  const holders: Array<{ names?: Set<string>, key: string | number }> = []
  let string = ''
  for (let at = 0; at < text.length; at++) {
    const holder = holders.at(-1)!
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      string = text.slice(at, end + 1)
      at = end
    } else if (char === ':') {
      holder.key = JSON.parse(string) as string
      if (holder.names!.has(holder.key)) return holders.map(({ key }) => key)
      holder.names!.add(holder.key)
    } else if (char === '{') holders.push({ key: '', names: new Set() })
    else if (char === '[') holders.push({ key: 0 })
    else if (char === '}' || char === ']') holders.pop()
    else if (char === ',' && typeof holder.key === 'number') holder.key++
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

/** The index of the quote that ends the string which begins at `start`. */
function endOfString (text: string, start: number) {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let escapes = end
    while (text[escapes - 1] === '\\') escapes--
    if ((end - escapes) % 2 === 0) return end
  }
}
