import { TENANT, uuidOf } from './ids.ts'
import type { Request, Response } from './proxy.ts'

/** What a resource has in Azure's form. */
export interface Resource {
  id: string
  name: string
  type: string
  location?: string
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
  /** Ids of resources that another one brought, by the id of that one. */
  #brought = new Map<string, string>()
  #complete: Record<string, Complete>
  /** Namespaces of resource providers that are registered, in Azure's spelling. */
  readonly registered = new Set<string>()

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

  /**
   * Creates or replaces a resource.
   *
   * @param owner id of the resource that is deleted together with it, other than its parent
   */
  put (id: string, body: object, owner?: string) {
    const type = typeOf(id)
    const { properties = {}, ...rest } = structuredClone(body) as Partial<Resource>
    const resource: Resource = { ...rest, id, name: id.split('/').at(-1)!, type, properties }
    resource.properties.provisioningState ??= 'Succeeded'
    completeIdentity(resource)
    this.#resources.set(id.toLowerCase(), resource)
    if (owner) this.#brought.set(owner.toLowerCase(), id)
    this.#complete[type.toLowerCase()]?.(resource, this)
    if (DISPLAYED.test(type)) resource.location = REGIONS[resource.location ?? ''] ?? resource.location
    return resource
  }

  /** Removes a resource, all that is within it, and what it brought. */
  delete (id: string) {
    const isThere = this.#resources.has(id.toLowerCase())
    for (const { id: other } of this.all) {
      if (isWithin(other, id)) this.#resources.delete(other.toLowerCase())
    }
    const brought = this.#brought.get(id.toLowerCase())
    if (brought) this.delete(brought)
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

  /** The resources of a group that stand on their own. */
  inGroup (group: string) {
    return this.all.filter(({ id }) => {
      if (!isWithin(id, group)) return false
      const [namespace = '', ...rest] = id.slice(`${group}/providers/`.length).split('/')
      return rest.length === 2 && !/^Microsoft\.(Authorization|Consumption)$/i.test(namespace)
    })
  }
}

/** Services that answer with the name of a region for people. */
const DISPLAYED = /^Microsoft\.(ApiManagement\/service|App\/\w+|DocumentDB\/\w+)$/
const REGIONS: Record<string, string> = { northeurope: 'North Europe', westeurope: 'West Europe' }

/** Whether the resource `id` is `other` or within it. */
export function isWithin (id: string, other: string) {
  return `${id}/`.toLowerCase().startsWith(`${other}/`.toLowerCase())
}

function completeIdentity ({ id, identity }: Resource) {
  if (!identity) return
  if (/SystemAssigned/.test(identity.type)) {
    Object.assign(identity, { principalId: uuidOf(`principal ${id}`), tenantId: TENANT })
  }
  for (const key of Object.keys(identity.userAssignedIdentities ?? {})) {
    const ids = { clientId: uuidOf(`client ${key}`), principalId: uuidOf(`principal ${key}`) }
    identity.userAssignedIdentities[key] = ids
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

/** An error in Resource Manager's form. */
export const refuse = (status: number, code: string, message: string): Response =>
  ({ status, body: { error: { code, message } } })

export const notFound = (path: string) => refuse(404, 'ResourceNotFound', `${path} was not found`)
