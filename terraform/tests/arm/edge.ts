import { uuidOf } from './ids.ts'
import type { Complete } from './store.ts'

const PROFILE = 'microsoft.cdn/profiles'

/** What Front Door, Application Gateways and private link scopes add to what was sent. */
export const completeEdge: Record<string, Complete> = {
  [PROFILE] ({ id, properties }) {
    Object.assign(properties, { frontDoorId: uuidOf(id), resourceState: 'Active' })
  },
  [`${PROFILE}/afdendpoints`] ({ id, name, properties }) {
    properties.hostName = `${name}-${uuidOf(id).slice(0, 4)}.z01.azurefd.net`
  },
  [`${PROFILE}/customdomains`] ({ id, properties }) {
    properties.validationProperties = { validationToken: uuidOf(id).replaceAll('-', ''), expirationDate: '' }
    properties.domainValidationState = 'Pending'
  },
  'microsoft.network/applicationgateways' ({ id, properties }) {
    properties.operationalState = 'Running'
    // Each part gets an id
    for (const [collection, parts] of Object.entries(properties)) {
      if (!Array.isArray(parts)) continue
      for (const part of parts) if (part.name) part.id = `${id}/${collection}/${part.name}`
    }
  }
}
