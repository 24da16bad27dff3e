import { completeEdge } from './edge.ts'
import { completeGateway, gatewayActions } from './gateway.ts'
import { DEPLOYER, secretOf, TENANT, uuidOf } from './ids.ts'
import { completeStorage, storageActions } from './storage.ts'
import type { Action, Complete, Resource, Store } from './store.ts'

/** What a service adds where nothing else was sent. */
const defaults = (values: (resource: Resource) => object): Complete => (resource) => {
  resource.properties = { ...values(resource), ...resource.properties }
}

const groupOf = (id: string) => id.slice(0, id.lastIndexOf('/providers/'))

/** What the services add to what was sent, by type in lower case. */
export const complete: Record<string, Complete> = {
  'microsoft.managedidentity/userassignedidentities': defaults(({ id }) => ({
    clientId: uuidOf(`client ${id}`), principalId: uuidOf(`principal ${id}`), tenantId: TENANT
  })),
  'microsoft.operationalinsights/workspaces': defaults(({ id }) => ({ customerId: uuidOf(id) })),
  'microsoft.insights/components': completeInsights,
  'microsoft.insights/diagnosticsettings' ({ id, properties }, store) {
    // As the service answers: in lower case
    properties.workspaceId = properties.workspaceId?.replace('/resourceGroups/', '/resourcegroups/')
    const target = store.get(groupOf(id))
    if (target?.type !== 'Microsoft.ApiManagement/service') return
    // API Management has this logger once a diagnostic setting exists
    const logger = { loggerType: 'azureMonitor', isBuffered: true }
    store.put(`${target.id}/loggers/azuremonitor`, { properties: logger })
  },
  'microsoft.authorization/roleassignments' ({ id, properties }) {
    properties.scope = groupOf(id)
    properties.principalType ??= properties.principalId === DEPLOYER ? 'User' : 'ServicePrincipal'
  },
  'microsoft.keyvault/vaults' ({ name, properties }) {
    properties.vaultUri = `https://${name}.vault.azure.net/`
  },
  'microsoft.containerregistry/registries': defaults(({ name }) => ({
    loginServer: `${name}.azurecr.io`,
    roleAssignmentMode: 'LegacyRegistryPermissions',
    dataEndpointHostNames: []
  })),
  'microsoft.network/privatednszones' ({ id, name, properties }, store) {
    Object.assign(properties, { maxNumberOfRecordSets: 25_000, numberOfRecordSets: 1 })
    const soaRecord = {
      host: 'azureprivatedns.net',
      email: 'azureprivatedns-host.microsoft.com',
      serialNumber: 1,
      refreshTime: 3_600,
      retryTime: 300,
      expireTime: 2_419_200,
      minimumTtl: 10
    }
    store.put(`${id}/SOA/@`, { properties: { ttl: 3_600, fqdn: `${name}.`, soaRecord } })
  },
  'microsoft.network/virtualnetworks' ({ id, properties }, store) {
    properties.subnets = store.list(`${id}/subnets`)
  },
  'microsoft.network/virtualnetworks/subnets' ({ id }, store) {
    const network = store.get(id.slice(0, id.lastIndexOf('/subnets/')))
    if (network) network.properties.subnets = store.list(`${network.id}/subnets`)
  },
  'microsoft.network/publicipaddresses' ({ name, location, properties }) {
    properties.ipAddress = '203.0.113.1'
    const label = properties.dnsSettings?.domainNameLabel
    if (label) properties.dnsSettings.fqdn = `${label}.${location}.cloudapp.azure.com`
    properties.resourceGuid = uuidOf(name)
  },
  'microsoft.network/privateendpoints': completePrivateEndpoint,
  'microsoft.compute/virtualmachinescalesets' ({ id, properties }) {
    properties.uniqueId = uuidOf(id)
    // The service answers neither what was left open nor what only the machines may read
    const { additionalCapabilities: capabilities = {} } = properties
    if (Object.keys(capabilities).length === 0) delete properties.additionalCapabilities
    delete properties.virtualMachineProfile.osProfile.customData
  },
  ...completeEdge,
  'microsoft.app/managedenvironments': defaults(({ name, location }) => ({
    defaultDomain: `${name}-0123abcd.${location}.azurecontainerapps.io`,
    staticIp: '10.0.0.5',
    customDomainConfiguration: { customDomainVerificationId: uuidOf(name) },
    peerAuthentication: { mtls: { enabled: false } },
    publicNetworkAccess: 'Disabled'
  })),
  'microsoft.app/containerapps' ({ name, properties }, store) {
    const environment = store.get(properties.managedEnvironmentId ?? properties.environmentId)
    const domain = environment?.properties.defaultDomain
    const revision = `${name}--${properties.template.revisionSuffix || '0000001'}`
    Object.assign(properties, {
      latestRevisionName: revision,
      latestReadyRevisionName: revision,
      latestRevisionFqdn: `${revision}.${domain}`,
      outboundIpAddresses: ['203.0.113.4'],
      customDomainVerificationId: uuidOf(name),
      runningStatus: 'Running'
    })
    if (properties.configuration.ingress) properties.configuration.ingress.fqdn = `${name}.${domain}`
  },
  'microsoft.app/jobs': defaults(({ id }) => ({
    outboundIpAddresses: ['203.0.113.4'],
    eventStreamEndpoint: `https://westeurope.azurecontainerapps.dev${id}/eventstream`
  })),
  'microsoft.documentdb/databaseaccounts': completeDatabaseAccount,
  'microsoft.documentdb/databaseaccounts/mongodbdatabases': keepThroughput,
  'microsoft.documentdb/databaseaccounts/mongodbdatabases/collections' (resource, store) {
    for (const { key, options } of resource.properties.resource?.indexes ?? []) {
      // The service makes this index itself and answers it without its options
      if (key.keys[0] === '_id' && options) delete options.unique
    }
    keepThroughput(resource, store)
  },
  'microsoft.documentdb/mongoclusters' ({ name, properties }) {
    const host = `${name}.mongocluster.cosmos.azure.com`
    properties.connectionString = `mongodb+srv://<user>:<password>@${host}/?tls=true`
    if (properties.administrator) delete properties.administrator.password
    delete properties.createMode
  },
  ...completeGateway,
  ...completeStorage
}

/** Operations on a resource, by type and name in lower case. */
export const actions: Record<string, Action> = {
  'microsoft.operationalinsights/workspaces/sharedkeys': ({ id }) => ({
    primarySharedKey: secretOf('primary key of a workspace', id),
    secondarySharedKey: secretOf('secondary key of a workspace', id)
  }),
  'microsoft.documentdb/databaseaccounts/listkeys': ({ id }) => ({
    primaryMasterKey: secretOf('primary key of Cosmos DB', id),
    secondaryMasterKey: secretOf('secondary key of Cosmos DB', id)
  }),
  'microsoft.documentdb/databaseaccounts/readonlykeys': ({ id }) => ({
    primaryReadonlyMasterKey: secretOf('primary read-only key of Cosmos DB', id),
    secondaryReadonlyMasterKey: secretOf('secondary read-only key of Cosmos DB', id)
  }),
  'microsoft.documentdb/databaseaccounts/listconnectionstrings': ({ id, name }) => ({
    connectionStrings: ['Primary', 'Secondary', 'Primary Read-Only', 'Secondary Read-Only'].map((kind) => {
      const key = encodeURIComponent(secretOf(`${kind.toLowerCase()} key of Cosmos DB`, id))
      const connectionString = `mongodb://${name}:${key}@${name}.mongo.cosmos.azure.com:10255/?ssl=true`
      return { connectionString, description: `${kind} MongoDB Connection String` }
    })
  }),
  // These have a place for a password and never the password
  'microsoft.documentdb/mongoclusters/listconnectionstrings': ({ properties: { connectionString } }) => ({
    connectionStrings: [{ connectionString, description: 'default', name: 'default' }]
  }),
  'microsoft.app/containerapps/listsecrets': secretsOfApp,
  'microsoft.app/jobs/listsecrets': secretsOfApp,
  ...gatewayActions,
  ...storageActions
}

function completeInsights ({ id, name, properties }: Resource, store: Store) {
  const key = secretOf('instrumentation key of Application Insights', id)
  const endpoint = 'https://westeurope-5.in.applicationinsights.azure.com/'
  Object.assign(properties, {
    AppId: uuidOf(`app ${id}`),
    ApplicationId: name,
    InstrumentationKey: key,
    ConnectionString: `InstrumentationKey=${key};IngestionEndpoint=${endpoint}`
  })
  if (store.registered.has('Microsoft.AlertsManagement')) {
    const rules = `${groupOf(id)}/providers/Microsoft.AlertsManagement/smartDetectorAlertRules`
    store.put(`${rules}/Failure Anomalies - ${name}`, { properties: { state: 'Enabled' } })
  }
  store.put(`${id}/currentbillingfeatures`, {
    DataVolumeCap: { Cap: 100, ResetTime: 0, StopSendNotificationWhenHitCap: false, WarningThreshold: 90 },
    CurrentBillingFeatures: ['Basic']
  })
}

function completePrivateEndpoint ({ id, name, properties }: Resource, store: Store) {
  const nic = `${groupOf(id)}/providers/Microsoft.Network/networkInterfaces/${name}.nic`
  const address = { privateIPAddress: '10.0.0.4', privateIPAllocationMethod: 'Dynamic', primary: true }
  store.put(nic, { properties: { ipConfigurations: [{ name: 'one', properties: address }] } }, id)
  Object.assign(properties, { networkInterfaces: [{ id: nic }], customDnsConfigs: [] })
  for (const { properties: connection } of properties.privateLinkServiceConnections ?? []) {
    connection.privateLinkServiceConnectionState ??= { status: 'Approved', description: '' }
  }
}

function completeDatabaseAccount ({ name, properties }: Resource) {
  const documentEndpoint = `https://${name}.documents.azure.com:443/`
  const locations = (properties.locations ?? []).map((location: Record<string, string>) => ({
    ...location, id: `${name}-${location.locationName}`, documentEndpoint, provisioningState: 'Succeeded'
  }))
  const failoverPolicies = locations.map(({ id, locationName, failoverPriority }: Record<string, unknown>) =>
    ({ id, locationName, failoverPriority }))
  Object.assign(properties, {
    documentEndpoint,
    locations,
    readLocations: locations,
    failoverPolicies,
    EnabledApiTypes: 'MongoDB',
    writeLocations: locations.filter(({ failoverPriority = 0 }) => failoverPriority === 0)
  })
}

function keepThroughput ({ id, properties }: Resource, store: Store) {
  const { options } = properties
  if (!options?.throughput && !options?.autoscaleSettings) return
  store.put(`${id}/throughputSettings/default`, { properties: { resource: options } })
}

function secretsOfApp ({ properties }: Resource) {
  return { value: properties.configuration?.secrets ?? [] }
}
