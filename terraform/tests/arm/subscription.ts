import { CLIENT, DEPLOYER, SUBSCRIPTION, TENANT, uuidOf } from './ids.ts'
import type { Answer, Request, Response } from './proxy.ts'
import { isResource, isWithin, notFound, refuse, Store, typeOf, type Resource } from './store.ts'
import { actions, complete } from './types.ts'
import { Vaults } from './vaults.ts'

/** As Azure Resource Manager spells them. */
const NAMESPACES = [
  'Microsoft.AlertsManagement', 'Microsoft.ApiManagement', 'Microsoft.App', 'Microsoft.Cdn',
  'Microsoft.Compute', 'Microsoft.ContainerRegistry', 'Microsoft.ContainerService', 'Microsoft.DocumentDB',
  'microsoft.insights',
  'Microsoft.KeyVault', 'Microsoft.ManagedIdentity', 'Microsoft.Network', 'Microsoft.OperationalInsights',
  'Microsoft.Storage'
]
/** These are registered in every subscription. */
const REGISTERED = ['Microsoft.Authorization', 'Microsoft.Consumption', 'Microsoft.Resources']
const KNOWN = [...NAMESPACES, ...REGISTERED]
const ROOT = `/subscriptions/${SUBSCRIPTION}`

/** Azure as far as Terraform needs it: a subscription that is empty at first. */
export class Subscription {
  readonly store = new Store(complete)
  readonly #roles = new Roles()
  readonly #vaults = new Vaults()
  /** Requests that the stand-in does not know. */
  readonly unknown: string[] = []

  answer: Answer = (request) => {
    const { host, path } = request
    if (host === 'login.microsoftonline.com') return login(path)
    if (host === 'management.azure.com') {
      // An API has one revision here
      return this.#manage({ ...request, path: path.replace(/;rev=1(?=\/|$)/, '') })
    }
    if (host.endsWith('.vault.azure.net')) return this.#vaults.answer(request) ?? this.#unknown(request)
    return this.#unknown(request)
  }

  #manage (request: Request): Response {
    const { method, path, body } = request
    const [, namespace, action] = /^\/subscriptions\/[^/]+\/providers\/([^/]+)(\/register)?$/.exec(path) ?? []
    if (namespace) return this.#provider(namespace, action !== undefined)
    if (method === 'PUT') return this.#put(path, body as object)
    if (method === 'PATCH') return this.#patch(path, body as object)
    if (method === 'DELETE') return this.#delete(path)
    if (method === 'POST') return this.#act(request)
    const found = path === ROOT ? subscription : this.store.get(path) ?? this.#roles.byId(path)
    if (found) return method === 'HEAD' ? { status: 204 } : { status: 200, body: found }
    return isResource(path) ? notFound(path) : { status: 200, body: { value: this.#list(request) } }
  }

  #put (path: string, body: object): Response {
    const refusal = this.#refusalOf(path)
    if (refusal) return refusal
    const deleted = this.#softDeleted(path, body as Resource)
    if (deleted && !isRecovery(body as Resource)) {
      return refuse(409, 'AlreadyExists', `${path} exists in a deleted state`)
    }
    if (deleted) this.store.delete(deleted.id)
    const { loggerId } = (body as { properties?: { loggerId?: string } }).properties ?? {}
    if (loggerId && !this.store.get(loggerId)) {
      return refuse(400, 'ValidationError', `${loggerId} does not exist`)
    }
    const isCreation = typeOf(path) === 'Microsoft.Authorization/roleAssignments' && !this.store.get(path)
    return { status: isCreation ? 201 : 200, body: this.store.put(path, body) }
  }

  /** Why Resource Manager would not accept a resource with this id. */
  #refusalOf (path: string): Response | undefined {
    const [group] = /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+(?=\/)/i.exec(path) ?? []
    if (group && !this.store.get(group)) return refuse(404, 'ResourceGroupNotFound', `${group} was not found`)
    const namespace = /.*\/providers\/([^/]+)/i.exec(path)?.[1]?.toLowerCase() ?? 'microsoft.resources'
    if (![...this.store.registered, ...REGISTERED].some((name) => name.toLowerCase() === namespace)) {
      return refuse(409, 'MissingSubscriptionRegistration', `${namespace} is not registered`)
    }
    const parent = parentOf(path)
    if (parent && !this.store.get(parent) && !IMPLICIT.test(parent)) {
      return refuse(404, 'ParentResourceNotFound', `${parent} was not found`)
    }
    return undefined
  }

  #patch (path: string, body: object): Response {
    const resource = this.store.get(path)
    if (!resource) return notFound(path)
    const { properties, ...rest } = body as { properties?: object }
    const all = { ...resource.properties, ...properties }
    return { status: 200, body: this.store.put(resource.id, { ...resource, ...rest, properties: all }) }
  }

  #delete (path: string): Response {
    const isLock = /\/providers\/Microsoft\.Authorization\/locks\/[^/]+$/i.test(path)
    const lock = this.store.all.find(({ id, type }) =>
      !isLock && type.toLowerCase() === 'microsoft.authorization/locks' && (
        isWithin(path, id.slice(0, id.lastIndexOf('/providers/'))) || isWithin(id, path)
      ))
    if (lock) return refuse(409, 'ScopeLocked', `${path} cannot be deleted because of ${lock.id}`)
    const resource = this.store.get(path)
    this.store.delete(path)
    const deletedId = resource && deletedIdOf(resource)
    if (deletedId) {
      const properties = { vaultId: resource.id, serviceId: resource.id, location: resource.location }
      this.store.put(deletedId, { location: resource.location, properties })
    }
    // Cosmos DB answers a deletion without a body
    return { status: resource && !resource.type.startsWith('Microsoft.DocumentDB/') ? 200 : 204 }
  }

  /** What a deletion has left of the vault or gateway with this id. */
  #softDeleted (path: string, { location }: Resource) {
    const id = deletedIdOf({ type: typeOf(path), name: path.split('/').at(-1)!, location })
    return id ? this.store.get(id) : undefined
  }

  #act (request: Request): Response {
    const [, id = '', name = ''] = /^(.*)\/([^/]+)$/.exec(request.path) ?? []
    if (name === 'checkNameAvailability') return { status: 200, body: { nameAvailable: true } }
    const resource = this.store.get(id)
    const action = actions[`${typeOf(id)}/${name}`.toLowerCase()]
    if (!resource || !action) return this.#unknown(request)
    return { status: 200, body: action(resource, request, this.store) }
  }

  #list ({ path, query }: Request) {
    const filter = query.get('$filter') ?? ''
    if (path === `${ROOT}/providers`) return KNOWN.map((name) => this.#describe(name))
    if (/\/roleDefinitions$/i.test(path)) return this.#roles.named(/roleName eq '(.+)'/.exec(filter)?.[1])
    const [, group] = /^(.*\/resourceGroups\/[^/]+)\/resources$/i.exec(path) ?? []
    if (group) return this.store.inGroup(group)
    const type = /resourceType eq '([^']+)'/i.exec(filter)?.[1]?.toLowerCase()
    if (type) return this.store.all.filter((resource) => resource.type.toLowerCase() === type)
    return this.store.list(path)
  }

  #provider (namespace: string, isRegistration: boolean): Response {
    const name = KNOWN.find((one) => one.toLowerCase() === namespace.toLowerCase())
    if (!name) return refuse(404, 'InvalidResourceNamespace', `${namespace} is unknown`)
    if (isRegistration) this.store.registered.add(name)
    return { status: 200, body: this.#describe(name) }
  }

  #describe (namespace: string) {
    const isRegistered = this.store.registered.has(namespace) || REGISTERED.includes(namespace)
    const registrationState = isRegistered ? 'Registered' : 'NotRegistered'
    return { id: `${ROOT}/providers/${namespace}`, namespace, registrationState, resourceTypes: [] }
  }

  #unknown ({ method, host, path }: Request): Response {
    this.unknown.push(`${method} ${host}${path}`)
    return notFound(path)
  }
}

const subscription = {
  id: ROOT,
  subscriptionId: SUBSCRIPTION,
  tenantId: TENANT,
  displayName: 'stand-in',
  state: 'Enabled',
  subscriptionPolicies: { quotaId: 'PayAsYouGo_2014-09-01', spendingLimit: 'Off' }
}

/** Parents that exist without having been made: secrets and keys are in the data plane of a vault. */
const IMPLICIT = /\/vaults\/[^/]+\/(secrets|keys)\/[^/]+$|\/(throughputSettings|portalsettings)$/i

/** The resource that a resource belongs to: its parent, or the scope of an extension. */
function parentOf (path: string) {
  const [scope = '', rest = ''] = path.split(/\/providers\/(?!.*\/providers\/)/i)
  const segments = rest.split('/')
  // Without a name at its end, as /components/x/currentbillingfeatures, it is the only one of its type
  const own = segments.length % 2 === 1 ? 2 : 1
  if (segments.length > 3) return `${scope}/providers/${segments.slice(0, -own).join('/')}`
  return /\/providers\//i.test(scope) ? scope : undefined
}

/** Types whose resources can be recovered after their deletion, by type in lower case. */
const SOFT_DELETED: Record<string, string> = {
  'microsoft.apimanagement/service': 'Microsoft.ApiManagement/locations/REGION/deletedServices',
  'microsoft.keyvault/vaults': 'Microsoft.KeyVault/locations/REGION/deletedVaults'
}

function deletedIdOf ({ type, name, location = '' }: Pick<Resource, 'type' | 'name' | 'location'>) {
  const collection = SOFT_DELETED[type.toLowerCase()]
  const region = location.toLowerCase().replaceAll(' ', '')
  return collection && `${ROOT}/providers/${collection.replace('REGION', region)}/${name}`
}

function isRecovery ({ properties = {} }: Resource) {
  return properties.restore === true || properties.createMode === 'recover'
}

/** The definitions of roles: every name that is asked for has one. */
class Roles {
  #definitions = new Map<string, object>()

  byId (path: string) {
    return this.#definitions.get(path.toLowerCase().split('/').at(-1)!)
  }

  named (roleName: string | undefined) {
    if (!roleName) return []
    const name = uuidOf(roleName)
    const id = `${ROOT}/providers/Microsoft.Authorization/roleDefinitions/${name}`
    const properties = { roleName, type: 'BuiltInRole', permissions: [], assignableScopes: ['/'] }
    const definition = { id, name, type: 'Microsoft.Authorization/roleDefinitions', properties }
    this.#definitions.set(name, definition)
    return [definition]
  }
}

function login (path: string): Response {
  if (!path.endsWith('/token')) return notFound(path)
  const exp = Math.floor(Date.now() / 1_000) + 3_600
  const claims = { oid: DEPLOYER, tid: TENANT, appid: CLIENT, sub: DEPLOYER, exp }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = `${part({ alg: 'none' })}.${part(claims)}.`
  return { status: 200, body: { access_token: token, token_type: 'Bearer', expires_in: 3_600 } }
}
