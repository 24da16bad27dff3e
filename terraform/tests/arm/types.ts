import { secretOf, uuidOf } from './ids.ts'
import type { Action, Complete, Resource } from './store.ts'

const add = (values: (resource: Resource) => object): Complete => (resource) => {
  Object.assign(resource.properties, { ...values(resource), ...resource.properties })
}

/** What the services add to what was sent, by type in lower case. */
export const complete: Record<string, Complete> = {
  'microsoft.managedidentity/userassignedidentities': add(({ id }) => ({
    clientId: uuidOf(`client ${id}`), principalId: uuidOf(`principal ${id}`), tenantId: uuidOf('tenant')
  })),
  'microsoft.operationalinsights/workspaces': add(({ id }) => ({ customerId: uuidOf(id) })),
  'microsoft.insights/components' (resource, store) {
    const { id, name } = resource
    const key = uuidOf(id)
    Object.assign(resource.properties, {
      AppId: uuidOf(`app ${id}`), ApplicationId: name, InstrumentationKey: key,
      ConnectionString: `InstrumentationKey=${key};IngestionEndpoint=https://westeurope-1.in.applicationinsights.azure.com/`
    })
    store.put(`${id}/currentbillingfeatures`, {
      DataVolumeCap: { Cap: 100, ResetTime: 0, StopSendNotificationWhenHitCap: false, WarningThreshold: 90 },
      CurrentBillingFeatures: ['Basic']
    })
  },
  'microsoft.keyvault/vaults': add(({ name }) => ({ vaultUri: `https://${name}.vault.azure.net/` })),
  'microsoft.containerregistry/registries': add(({ name }) => ({ loginServer: `${name}.azurecr.io` })),
  'microsoft.network/privatednszones' ({ id, properties }, store) {
    Object.assign(properties, { maxNumberOfRecordSets: 25_000, numberOfRecordSets: 1 })
    const soaRecord = {
      host: 'azureprivatedns.net', email: 'azureprivatedns-host.microsoft.com', serialNumber: 1,
      refreshTime: 3_600, retryTime: 300, expireTime: 2_419_200, minimumTtl: 10
    }
    store.put(`${id}/SOA/@`, { properties: { ttl: 3_600, fqdn: `${id.split('/').at(-1)}.`, soaRecord } })
  },
  'microsoft.network/virtualnetworks': add(() => ({ subnets: [] })),
  'microsoft.network/publicipaddresses': add(({ properties }) => ({
    ipAddress: '203.0.113.1',
    ...(properties.dnsSettings && { dnsSettings: { fqdn: 'x', ...properties.dnsSettings } })
  })),
  'microsoft.network/privateendpoints' ({ id, properties }, store) {
    const group = id.slice(0, id.lastIndexOf('/providers/'))
    const nic = `${group}/providers/Microsoft.Network/networkInterfaces/${id.split('/').at(-1)}.nic`
    store.put(nic, { properties: { ipConfigurations: [{ name: 'one', properties: { privateIPAddress: '10.0.0.4' } }] } })
    Object.assign(properties, { networkInterfaces: [{ id: nic }], customDnsConfigs: [] })
    for (const { properties: connection } of properties.privateLinkServiceConnections ?? []) {
      connection.privateLinkServiceConnectionState ??= { status: 'Approved', description: '' }
    }
  },
  'microsoft.app/managedenvironments': add(({ name }) => ({
    defaultDomain: `${name}.westeurope.azurecontainerapps.io`, staticIp: '10.0.0.5',
    customDomainConfiguration: { customDomainVerificationId: uuidOf(name) }
  })),
  'microsoft.app/containerapps' ({ name, properties }) {
    Object.assign(properties, {
      latestRevisionName: `${name}--1`, latestRevisionFqdn: `${name}--1.internal`, outboundIpAddresses: [],
      customDomainVerificationId: uuidOf(name)
    })
    if (properties.configuration?.ingress) properties.configuration.ingress.fqdn = `${name}.internal`
  },
  'microsoft.app/jobs': add(({ id }) => ({ outboundIpAddresses: [], eventStreamEndpoint: `https://host${id}/eventstream` })),
  'microsoft.documentdb/databaseaccounts' (resource) {
    const { name, properties } = resource
    const endpoint = `https://${name}.documents.azure.com:443/`
    const locations = (properties.locations ?? []).map((location: object) => ({
      id: `${name}-region`, documentEndpoint: endpoint, provisioningState: 'Succeeded', ...location
    }))
    Object.assign(properties, {
      documentEndpoint: endpoint, locations, readLocations: locations, writeLocations: locations.slice(0, 1),
      failoverPolicies: locations, EnabledApiTypes: 'MongoDB'
    })
  },
  'microsoft.documentdb/databaseaccounts/mongodbdatabases' ({ id, properties }, store) {
    throughputOf(id, properties, store)
  },
  'microsoft.documentdb/databaseaccounts/mongodbdatabases/collections' ({ id, properties }, store) {
    throughputOf(id, properties, store)
  },
  'microsoft.apimanagement/service' (resource) {
    const { name, properties } = resource
    Object.assign(properties, {
      gatewayUrl: `https://${name}.azure-api.net`, gatewayRegionalUrl: `https://${name}-westeurope-01.regional.azure-api.net`,
      managementApiUrl: `https://${name}.management.azure-api.net`, scmUrl: `https://${name}.scm.azure-api.net`,
      portalUrl: `https://${name}.portal.azure-api.net`, developerPortalUrl: `https://${name}.developer.azure-api.net`,
      publicIPAddresses: ['203.0.113.2'], targetProvisioningState: ''
    })
  }
}

/** Operations on a resource, by type and name in lower case. */
export const actions: Record<string, Action> = {
  'microsoft.operationalinsights/workspaces/sharedkeys': ({ id }) => ({
    primarySharedKey: secretOf(`workspace ${id}`), secondarySharedKey: secretOf(`workspace 2 ${id}`)
  }),
  'microsoft.documentdb/databaseaccounts/listkeys': ({ name }) => ({
    primaryMasterKey: secretOf(`${name} 1`), secondaryMasterKey: secretOf(`${name} 2`),
    primaryReadonlyMasterKey: secretOf(`${name} 3`), secondaryReadonlyMasterKey: secretOf(`${name} 4`)
  }),
  'microsoft.documentdb/databaseaccounts/listconnectionstrings': ({ name }) => ({
    connectionStrings: ['Primary', 'Secondary', 'Primary Read-Only', 'Secondary Read-Only'].map((kind) => ({
      connectionString: `mongodb://${name}:${encodeURIComponent(secretOf(`${name} ${kind}`))}@${name}.mongo.cosmos.azure.com:10255/?ssl=true`,
      description: `${kind} MongoDB Connection String`
    }))
  }),
  'microsoft.documentdb/databaseaccounts/readonlykeys': ({ name }) => ({
    primaryReadonlyMasterKey: secretOf(`${name} 3`), secondaryReadonlyMasterKey: secretOf(`${name} 4`)
  }),
  'microsoft.app/containerapps/listsecrets': ({ properties }) => ({ value: properties.configuration?.secrets ?? [] }),
  'microsoft.app/jobs/listsecrets': ({ properties }) => ({ value: properties.configuration?.secrets ?? [] })
}

function throughputOf (id: string, properties: Record<string, any>, store: { put: (id: string, body: object) => unknown }) {
  const { options } = properties
  if (!options?.throughput && !options?.autoscaleSettings) return
  store.put(`${id}/throughputSettings/default`, { properties: { resource: options } })
}
