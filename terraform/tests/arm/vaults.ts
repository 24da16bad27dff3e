import { randomBytes } from 'node:crypto'
import { uuidOf } from './ids.ts'
import type { Request, Response } from './proxy.ts'
import { refuse } from './store.ts'

interface Item {
  id?: string
  kid?: string
  attributes: Record<string, unknown>
  [member: string]: unknown
}

/** The data plane of Key Vault: secrets and keys. */
export class Vaults {
  #items = new Map<string, Item>()
  #deleted = new Map<string, Item>()
  #policies = new Map<string, object>()
  #versions = 0

  answer ({ method, host, path, body }: Request): Response | undefined {
    const [, kind = '', name = '', rest = ''] = path.split('/')
    const place = `${host}/${kind}/${name}`
    if (path === '/') return { status: 401 }
    if (path === '/certificates/contacts') return refuse(404, 'ContactsNotFound', 'not found')
    if (kind === 'deletedsecrets' || kind === 'deletedkeys') return this.#answerDeleted(method, place, rest)
    if (kind !== 'secrets' && kind !== 'keys') return undefined
    if (method === 'PUT' && this.#deleted.has(place.replace(/\/(secrets|keys)\//, '/deleted$1/'))) {
      return refuse(409, 'Conflict', 'it is deleted but can be recovered')
    }
    if (method === 'PUT' && kind === 'secrets') return { status: 200, body: this.#set(place, body as object) }
    if (method === 'POST' && rest === 'create') {
      return { status: 200, body: this.#createKey(place, body as object) }
    }
    const item = this.#items.get(place)
    if (!item) return refuse(404, 'SecretNotFound', 'not found')
    if (rest === 'rotationpolicy') return this.#rotationPolicy(method, place, body)
    if (method === 'DELETE') return this.#delete(place, item)
    if (method === 'PATCH') Object.assign(item, body)
    return { status: 200, body: item }
  }

  #set (place: string, body: object) {
    const { attributes = {}, ...rest } = body as Partial<Item>
    const item = { ...rest, id: this.#idOf(place), attributes: { ...attributes, ...this.#dates() } }
    this.#items.set(place, item)
    return item
  }

  #createKey (place: string, body: object) {
    const { kty, key_ops: operations, key_size: bits, attributes, tags } = body as Record<string, object>
    const kid = this.#idOf(place)
    // The provider takes the size of a key from its modulus
    const n = randomBytes(Number(bits) / 8).toString('base64url')
    const key = { kid, kty, key_ops: operations, n, e: 'AQAB' }
    const item = { key, tags, attributes: { ...attributes, ...this.#dates() } }
    this.#items.set(place, item)
    return item
  }

  #rotationPolicy (method: string, place: string, body: unknown): Response {
    if (method === 'PUT') this.#policies.set(place, body as object)
    return { status: 200, body: this.#policies.get(place) ?? { lifetimeActions: [], attributes: {} } }
  }

  #delete (place: string, item: Item): Response {
    this.#items.delete(place)
    const deleted = { ...item, recoveryId: place, deletedDate: 0, scheduledPurgeDate: 0 }
    this.#deleted.set(place.replace(/\/(secrets|keys)\//, '/deleted$1/'), deleted)
    return { status: 200, body: deleted }
  }

  #answerDeleted (method: string, place: string, rest: string): Response {
    const item = this.#deleted.get(place)
    if (!item) return refuse(404, 'SecretNotFound', 'not found')
    if (method === 'DELETE') this.#deleted.delete(place)
    if (method === 'POST' && rest === 'recover') {
      this.#deleted.delete(place)
      this.#items.set(place.replace('/deleted', '/'), item)
    }
    return { status: method === 'DELETE' ? 204 : 200, body: method === 'DELETE' ? undefined : item }
  }

  #idOf (place: string) {
    return `https://${place}/${uuidOf(`${place} ${++this.#versions}`).replaceAll('-', '')}`
  }

  #dates () {
    const now = Math.floor(Date.now() / 1_000)
    return { enabled: true, created: now, updated: now, recoveryLevel: 'Recoverable', recoverableDays: 90 }
  }
}
