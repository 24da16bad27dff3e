// TypeScript does not know it yet
const raw = JSON as typeof JSON & { rawJSON (text: string): object, isRawJSON (value: unknown): boolean }

type Holder = Record<string, unknown>

/** Parses JSON so that JSON.stringify writes every number with the digits that it has in `text`: 7.20. */
export function parseExact (text: string): unknown {
  const keep = (_name: string, value: unknown, { source }: { source?: string } = {}) => {
    if (typeof value !== 'number' || source === undefined || source === String(value)) return value
    return raw.rawJSON(source)
  }
  return JSON.parse(text, keep as (name: string, value: unknown) => unknown)
}

/** A number as it is in the source: one that keeps its digits, unless JavaScript does. */
type Exact = number

/** A resource, which remembers what of it was read. The rest is what an import leaves behind. */
export class Source {
  readonly type: string
  readonly root: Element
  #read = new Map<object, Set<string>>()

  constructor (resource: object) {
    const { resourceType } = resource as { resourceType?: string }
    this.type = pathName(resourceType ?? '')
    this.root = new Element(this, resource as Holder)
    this.root.text('resourceType')
    this.root.text('id')
  }

  mark (holder: object, name: string) {
    const names = this.#read.get(holder)
    if (names) names.add(name)
    else this.#read.set(holder, new Set([name]))
  }

  /** The resource that a reference like `#id` names. */
  contained (reference: string): Element | undefined {
    if (!reference.startsWith('#')) return undefined
    const found = this.root.children('contained').find((one) => one.peek('id') === reference.slice(1))
    found?.text('id')
    found?.text('resourceType')
    return found
  }

  /** The elements that were not read, without their values, and how often each occurs. */
  unread (): Map<string, number> {
    const counts = new Map<string, number>()
    const add = (path: string) => counts.set(path, (counts.get(path) ?? 0) + 1)
    this.#walk(this.root.holder, this.type, add)
    return counts
  }

  #walk (holder: object, path: string, add: (path: string) => void) {
    for (const [name, value] of Object.entries(holder)) {
      if (this.#read.get(holder)?.has(name)) continue
      const inner = Array.isArray(holder) ? path + labelOf(value) : `${path}.${pathName(name)}`
      if (Array.isArray(value)) this.#walk(value, inner, add)
      else if (isHolder(value) && this.#hasRead(value)) this.#walk(value, inner, add)
      else if (value !== null) add(inner)
    }
  }

  #hasRead (holder: object): boolean {
    if (this.#read.has(holder)) return true
    return Object.values(holder).some((value) => isHolder(value) && this.#hasRead(value))
  }
}

/** An element of a resource. A value of another type than a method reads counts as absent and not read. */
export class Element {
  readonly source: Source
  readonly holder: Holder

  constructor (source: Source, holder: Holder) {
    this.source = source
    this.holder = holder
  }

  /** A value, which does not count as read. */
  peek (name: string): unknown {
    return Object.hasOwn(this.holder, name) ? this.holder[name] : undefined
  }

  has (name: string) {
    return this.peek(name) !== undefined
  }

  text (name: string): string | undefined {
    const value = this.peek(name)
    if (typeof value !== 'string' || value.trim() === '') return undefined
    this.source.mark(this.holder, name)
    return value
  }

  flag (name: string): boolean | undefined {
    const value = this.peek(name)
    if (typeof value !== 'boolean') return undefined
    this.source.mark(this.holder, name)
    return value
  }

  number (name: string): Exact | undefined {
    const value = this.peek(name)
    if (typeof value !== 'number' && !raw.isRawJSON(value)) return undefined
    this.source.mark(this.holder, name)
    return value as Exact
  }

  child (name: string): Element | undefined {
    const value = this.peek(name)
    return isHolder(value) && !Array.isArray(value) ? new Element(this.source, value) : undefined
  }

  children (name: string): Element[] {
    const value = this.peek(name)
    if (!Array.isArray(value)) return []
    return value.flatMap((item) => isHolder(item) ? new Element(this.source, item) : [])
  }

  /** All texts of a list, which count as read, up to `most`. */
  texts (name: string, most = Infinity): string[] {
    const value = this.peek(name)
    if (!Array.isArray(value)) return []
    const list = new Element(this.source, value as unknown as Holder)
    return Object.keys(value).slice(0, most).flatMap((index) => list.text(index) ?? [])
  }
}

function isHolder (value: unknown): value is Holder {
  return typeof value === 'object' && value !== null && !raw.isRawJSON(value)
}

/** Names which FHIR cannot have could be health data. */
function pathName (name: string) {
  return /^_?[A-Za-z][A-Za-z0-9]{0,63}$/.test(name) ? name : '(another name)'
}

/** What tells items of a list apart: the end of an extension's url, or the type of a contained resource. */
function labelOf (item: unknown) {
  if (!isHolder(item)) return ''
  const { url, resourceType } = item
  if (typeof resourceType === 'string') return `(${pathName(resourceType)})`
  if (typeof url !== 'string') return ''
  const name = /^[\w.:/#-]*?([\w.-]{1,64})$/.exec(url)?.[1]
  return name ? `(${name})` : ''
}
