import type { Request, Response } from './proxy.ts'

/** What a resource has in Azure's form. */
export interface Resource {
  id: string
  name: string
  type: string
  location?: string
  tags?: Record<string, string>
  sku?: Record<string, unknown>
  identity?: Record<string, any>
  properties: Record<string, any>
  [member: string]: unknown
}

/** What the service adds to a resource that was sent. */
export type Complete = (resource: Resource, store: Store) => void

/** An operation on a resource, as listKeys. */
export type Action = (resource: Resource, request: Request, store: Store) => unknown

/** Keeps the resources of a subscription by their ids, which are compared in any case. */
export class Store {
  #resources = new Map<string, Resource>()
  #complete: Record<string, Complete>

  /** @param complete what is added to the resources of a type, by the type in lower case */
  constructor (complete: Record<string, Complete>) {
    this.#complete = complete
  }

  get (id: string) {
    return this.#resources.get(id.toLowerCase())
  }

  get all () {
    return [...this.#resources.values()]
  }

  put (id: string, body: object) {
    const type = typeOf(id)
    const { properties = {}, ...rest } = body as Partial<Resource>
    const resource: Resource = { ...rest, id, name: id.split('/').at(-1)!, type, properties: { ...properties } }
    resource.properties.provisioningState ??= 'Succeeded'
    this.#resources.set(id.toLowerCase(), resource)
    this.#complete[type.toLowerCase()]?.(resource, this)
    return resource
  }

  /** Removes a resource and all that is within it. */
  delete (id: string) {
    const isThere = this.#resources.has(id.toLowerCase())
    for (const { id: other } of this.all) {
      if (`${other}/`.toLowerCase().startsWith(`${id}/`.toLowerCase())) {
        this.#resources.delete(other.toLowerCase())
      }
    }
    return isThere
  }

  /** The resources directly in the collection with this path, or of this type anywhere in a group. */
  list (path: string) {
    const wanted = path.toLowerCase()
    const [, scope, type] = /^(.*?)\/providers\/([^/]+\/[^/]+)$/.exec(wanted) ?? []
    return this.all.filter(({ id, type: own }) => {
      const parent = id.slice(0, id.lastIndexOf('/')).toLowerCase()
      return parent === wanted || (type === own.toLowerCase() && id.toLowerCase().startsWith(`${scope}/`))
    })
  }
}

/** The type in an id: the last provider's namespace and every second segment after it. */
export function typeOf (id: string) {
  const [, rest] = /.*\/providers\/(.+)$/i.exec(id) ?? []
  if (!rest) return /\/resourceGroups\/[^/]+$/i.test(id) ? 'Microsoft.Resources/resourceGroups' : 'unknown'
  const [namespace, ...segments] = rest.split('/')
  return [namespace, ...segments.filter((_, i) => i % 2 === 0)].join('/')
}

/** Whether a path is that of a resource rather than of a collection. */
export function isResource (path: string) {
  const [, rest] = /.*\/providers\/(.+)$/i.exec(path) ?? []
  if (!rest) return /\/(resourceGroups|subscriptions)\/[^/]+$/i.test(path)
  return rest.split('/').length % 2 === 1
}

export const notFound = (path: string): Response =>
  ({ status: 404, body: { error: { code: 'ResourceNotFound', message: `${path} was not found` } } })
