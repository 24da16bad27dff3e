import { actions, complete } from './types.ts'
import type { Answer, Request, Response } from './proxy.ts'
import { uuidOf } from './ids.ts'
import { Vaults } from './vaults.ts'
import { isResource, notFound, Store, typeOf } from './store.ts'

export const SUBSCRIPTION = '11111111-1111-1111-1111-111111111111'
export const TENANT = '22222222-2222-2222-2222-222222222222'
export const DEPLOYER = '33333333-3333-3333-3333-333333333333'
export const CLIENT = '44444444-4444-4444-4444-444444444444'

/** Azure as far as Terraform needs it: a subscription that is empty at first. */
export class Subscription {
  readonly store = new Store(complete)
  readonly #roles = new Roles()
  readonly #vaults = new Vaults()
  /** Namespaces of resource providers, which are not registered in a fresh subscription, in Azure's spelling. */
  readonly registered = new Set<string>()
  /** What was asked for and is not there, other than resources before they are made. */
  readonly unknown: string[] = []

  readonly answer: Answer = (request) => {
    const { host, path } = request
    if (host === 'login.microsoftonline.com') return login(path)
    if (host === 'management.azure.com') return this.#manage(request)
    if (host.endsWith('.vault.azure.net')) return this.#vaults.answer(request) ?? this.#unknown(request)
    return this.#unknown(request)
  }

  #manage (request: Request): Response {
    const { method, path, body } = request
    const { store } = this
    const registration = /\/providers\/([^/]+)\/register$/.exec(path)
    if (registration) return this.#register(registration[1]!)
    if (/^\/subscriptions\/[^/]+\/providers$/.test(path)) return { status: 200, body: { value: this.#providers() } }
    if (/^\/subscriptions\/[^/]+\/providers\/[^/]+$/.test(path)) {
      const wanted = path.split('/').at(-1)!.toLowerCase()
      const provider = this.#providers().find(({ namespace }) => namespace.toLowerCase() === wanted)
      return provider ? { status: 200, body: provider } : notFound(path)
    }
    if (/^\/subscriptions\/[^/]+$/.test(path)) {
      const subscription = { id: path, subscriptionId: SUBSCRIPTION, displayName: 'stand-in', state: 'Enabled' }
      return { status: 200, body: { ...subscription, tenantId: TENANT } }
    }
    if (method === 'PUT') return this.#put(path, body as object)
    if (method === 'PATCH') return this.#patch(path, body as object)
    if (method === 'DELETE') return { status: store.delete(path) ? 200 : 204 }
    if (method === 'POST') return this.#act(request)
    const resource = store.get(path) ?? this.#roles.byId(path)
    if (!resource && !isResource(path)) return { status: 200, body: { value: this.#list(request) } }
    return resource ? { status: method === 'HEAD' ? 204 : 200, body: method === 'HEAD' ? undefined : resource } : notFound(path)
  }

  #put (path: string, body: object): Response {
    const isNew = !this.store.get(path)
    return { status: isNew && CREATED.has(typeOf(path).toLowerCase()) ? 201 : 200, body: this.store.put(path, body) }
  }

  #patch (path: string, body: object): Response {
    const resource = this.store.get(path)
    if (!resource) return notFound(path)
    const { properties, ...rest } = body as { properties?: object }
    const all = { ...resource.properties, ...properties }
    return { status: 200, body: this.store.put(resource.id, { ...resource, ...rest, properties: all }) }
  }

  #act (request: Request): Response {
    const [, id = '', name = ''] = /^(.*)\/([^/]+)$/.exec(request.path) ?? []
    const resource = this.store.get(id)
    const action = actions[`${typeOf(id)}/${name}`.toLowerCase()]
    if (!resource || !action) return this.#unknown(request)
    return { status: 200, body: action(resource, request, this.store) }
  }

  #list ({ path, query }: Request) {
    const filter = query.get('$filter') ?? ''
    if (/\/roleDefinitions$/i.test(path)) return this.#roles.named(/roleName eq '(.+)'/.exec(filter)?.[1])
    const type = /resourceType eq '([^']+)'/.exec(filter)?.[1]?.toLowerCase()
    if (type) return this.store.all.filter((resource) => resource.type.toLowerCase() === type)
    return this.store.list(path)
  }

  #register (namespace: string): Response {
    const provider = NAMESPACES.find((name) => name.toLowerCase() === namespace.toLowerCase())
    if (!provider) return notFound(namespace)
    this.registered.add(provider)
    return { status: 200, body: this.#providers().find((one) => one.namespace === provider) }
  }

  #providers () {
    return NAMESPACES.map((namespace) => ({
      id: `/subscriptions/${SUBSCRIPTION}/providers/${namespace}`,
      namespace,
      registrationState: this.registered.has(namespace) ? 'Registered' : 'NotRegistered',
      resourceTypes: []
    }))
  }

  #unknown ({ method, host, path }: Request): Response {
    this.unknown.push(`${method} ${host}${path}`)
    return notFound(path)
  }
}

/** As Azure Resource Manager spells them. */
const NAMESPACES = [
  'Microsoft.AlertsManagement', 'Microsoft.ApiManagement', 'Microsoft.App', 'Microsoft.Authorization',
  'Microsoft.Consumption', 'Microsoft.ContainerRegistry', 'Microsoft.ContainerService', 'Microsoft.DocumentDB',
  'microsoft.insights', 'Microsoft.KeyVault', 'Microsoft.ManagedIdentity', 'Microsoft.Network',
  'Microsoft.OperationalInsights', 'Microsoft.Resources', 'Microsoft.Storage', 'Microsoft.Cdn'
]

/** Types whose creation is answered by 201 only. */
const CREATED = new Set(['microsoft.authorization/roleassignments'])

/** The definitions of roles: every name that is asked for has one. */
class Roles {
  #definitions = new Map<string, object>()

  byId (path: string) {
    return this.#definitions.get(path.toLowerCase().split('/').at(-1)!)
  }

  named (roleName: string | undefined) {
    if (!roleName) return []
    const name = uuidOf(roleName)
    const id = `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/${name}`
    const properties = { roleName, type: 'BuiltInRole', permissions: [], assignableScopes: ['/'] }
    const definition = { id, name, type: 'Microsoft.Authorization/roleDefinitions', properties }
    this.#definitions.set(name, definition)
    return [definition]
  }
}

function login (path: string): Response {
  if (!path.endsWith('/token')) return notFound(path)
  const claims = { oid: DEPLOYER, tid: TENANT, appid: CLIENT, sub: DEPLOYER, exp: Math.floor(Date.now() / 1_000) + 3_600 }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = `${part({ alg: 'none' })}.${part(claims)}.`
  return { status: 200, body: { access_token: token, token_type: 'Bearer', expires_in: 3_600 } }
}
