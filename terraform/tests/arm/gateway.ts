import { secretOf } from './ids.ts'
import { escapeExpressions } from './policies.ts'
import type { Action, Complete, Resource, Store } from './store.ts'

const SERVICE = 'microsoft.apimanagement/service'

/** What API Management adds to what was sent. */
export const completeGateway: Record<string, Complete> = {
  [SERVICE] (service, store) {
    const { id, name, properties } = service
    const isNew = properties.gatewayUrl === undefined
    const host = (part: string) => `https://${name}${part}.azure-api.net`
    Object.assign(properties, {
      gatewayUrl: host(''),
      gatewayRegionalUrl: host('-westeurope-01.regional'),
      managementApiUrl: host('.management'),
      scmUrl: host('.scm'),
      portalUrl: host('.portal'),
      developerPortalUrl: host('.developer'),
      publicIPAddresses: ['203.0.113.2'],
      targetProvisioningState: '',
      platformVersion: 'stv2.1'
    })
    properties.hostnameConfigurations ??= [{
      type: 'Proxy',
      hostName: `${name}.azure-api.net`,
      negotiateClientCertificate: false,
      defaultSslBinding: true,
      certificateSource: 'BuiltIn'
    }]
    for (const location of properties.additionalLocations ?? []) {
      const region = location.location.toLowerCase().replaceAll(' ', '')
      location.gatewayRegionalUrl = host(`-${region}-01.regional`)
      location.publicIPAddresses ??= ['203.0.113.3']
    }
    if (isNew) addSamples(id, store)
  },
  [`${SERVICE}/apis`] ({ id, properties }, store) {
    const { value, format } = properties
    properties.isCurrent = true
    properties.apiRevision ??= '1'
    if (format !== 'openapi+json') return
    delete properties.value
    delete properties.format
    importDocument(id, properties, JSON.parse(value), store)
  },
  [`${SERVICE}/loggers`] ({ properties }) {
    // The service keeps credentials in a named value of its own
    if (!properties.credentials?.connectionString) return
    properties.credentials.connectionString = '{{Logger-Credentials--0123456789abcdef}}'
  },
  [`${SERVICE}/namedvalues`] ({ properties }) {
    if (properties.secret) delete properties.value
    if (properties.keyVault) properties.keyVault.lastStatus ??= { code: 'Success' }
  }
}

for (const owner of ['', '/apis', '/apis/operations', '/products']) {
  completeGateway[`${SERVICE}${owner}/policies`] = ({ properties }) => {
    if (properties.format !== 'xml') properties.value = escapeExpressions(properties.value)
    properties.format = 'xml'
  }
}

/** Operations of API Management that answer with secrets. */
export const gatewayActions: Record<string, Action> = {
  [`${SERVICE}/portalsettings/listsecrets`]: ({ id }) => ({
    validationKey: secretOf('validation key of the portal', id)
  }),
  [`${SERVICE}/tenant/listsecrets`]: ({ id, properties }) => ({
    enabled: properties.enabled ?? false,
    id: 'access',
    principalId: 'access',
    primaryKey: secretOf('primary key of the management API', id),
    secondaryKey: secretOf('secondary key of the management API', id)
  }),
  [`${SERVICE}/subscriptions/listsecrets`]: ({ id }) => ({
    primaryKey: secretOf('primary key of a subscription', id),
    secondaryKey: secretOf('secondary key of a subscription', id)
  })
}

/** What is in every new service. */
function addSamples (id: string, store: Store) {
  store.put(`${id}/apis/echo-api`, { properties: { displayName: 'Echo API', path: 'echo' } })
  for (const name of ['starter', 'unlimited']) {
    store.put(`${id}/products/${name}`, { properties: { displayName: name, state: 'published' } })
  }
  for (const name of ['signin', 'signup', 'delegation']) {
    store.put(`${id}/portalsettings/${name}`, { properties: { enabled: false } })
  }
  store.put(`${id}/tenant/access`, { properties: { enabled: false } })
  const value = '<policies><inbound /><backend><forward-request /></backend><outbound /></policies>'
  store.put(`${id}/policies/policy`, { properties: { format: 'xml', value } })
}

interface Document {
  info: { title: string, description?: string, contact?: object, license?: object }
  paths: Record<string, Record<string, { operationId: string, summary?: string }>>
}

/** An import sets what the document says, and replaces the operations. */
function importDocument (id: string, properties: Resource['properties'], document: Document, store: Store) {
  const { title, description, contact, license } = document.info
  Object.assign(properties, { displayName: title, description, contact, license, protocols: ['https'] })
  for (const { id: old } of store.list(`${id}/operations`)) store.delete(old)
  for (const [urlTemplate, methods] of Object.entries(document.paths)) {
    for (const [method, { operationId, summary }] of Object.entries(methods)) {
      if (!operationId) continue
      const operation = { displayName: summary ?? operationId, method: method.toUpperCase(), urlTemplate }
      store.put(`${id}/operations/${operationId}`, { properties: operation })
    }
  }
}
