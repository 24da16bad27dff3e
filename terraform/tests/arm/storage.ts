import { secretOf } from './ids.ts'
import type { Action, Complete } from './store.ts'

const ACCOUNT = 'microsoft.storage/storageaccounts'

/** What Azure Storage adds to what was sent. */
export const completeStorage: Record<string, Complete> = {
  [ACCOUNT] ({ id, name, location, properties }, store) {
    const endpoints = ['blob', 'queue', 'table', 'file', 'web', 'dfs'].map((service) =>
      [service, `https://${name}.${service}.core.windows.net/`])
    Object.assign(properties, {
      primaryEndpoints: Object.fromEntries(endpoints), primaryLocation: location, statusOfPrimary: 'available'
    })
    if (!store.get(`${id}/blobServices/default`)) {
      for (const service of ['blobServices', 'fileServices', 'queueServices', 'tableServices']) {
        store.put(`${id}/${service}/default`, { properties: { cors: { corsRules: [] } } })
      }
    }
  },
  [`${ACCOUNT}/blobservices/containers/immutabilitypolicies`] (resource) {
    resource.properties.state ??= 'Unlocked'
    resource.etag = '"1"'
  }
}

export const storageActions: Record<string, Action> = {
  [`${ACCOUNT}/listkeys`]: ({ id }) => ({
    keys: ['key1', 'key2'].map((keyName) => {
      return { keyName, value: secretOf('key of a storage account', id + keyName), permissions: 'FULL' }
    })
  }),
  [`${ACCOUNT}/blobservices/containers/immutabilitypolicies/lock`] (resource) {
    resource.properties.state = 'Locked'
    return resource
  }
}
