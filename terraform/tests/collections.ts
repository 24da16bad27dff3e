// The collections of both databases for Terraform, generated from the services:
//   node terraform/tests/collections.ts > terraform/collections.json
import { pathToFileURL } from 'node:url'
import { logIndexes } from '../../services/audit/log/store.ts'
import { registerIndexes } from '../../services/audit/register.ts'
import { reviewCollections, reviewIndexes } from '../../services/audit/review/documents.ts'
import type { Index } from '../../services/common/database.ts'
import { CLAIM_LIFETIME_MS, claimIndexes } from '../../services/patient/repositories/claims.ts'
import { patientIndexes } from '../../services/patient/repositories/patients.ts'
import { testIndexes } from '../../services/patient/repositories/test-results.ts'
import { transferIndexes } from '../../services/patient/repositories/transfers.ts'
import { versionIndexes } from '../../services/patient/repositories/versions.ts'

interface Collection {
  indexes: string[][]
  ttl_seconds?: number
}

export const collections: Record<string, Record<string, Collection>> = {
  audit: {
    ...byCollection([...registerIndexes, ...logIndexes, ...reviewIndexes]),
    // Found by their ids alone, or read whole
    tiles: { indexes: [] },
    [reviewCollections.review]: { indexes: [] },
    [reviewCollections.activities]: { indexes: [] },
    [reviewCollections.contacts]: { indexes: [] },
    [reviewCollections.watchedPatients]: { indexes: [] },
    archives: { indexes: [] },
    holds: { indexes: [] }
  },
  patient: byCollection([
    ...patientIndexes, ...testIndexes, ...claimIndexes, ...versionIndexes, ...transferIndexes
  ])
}

function byCollection (indexes: Index[]) {
  const collections: Record<string, Collection> = {}
  for (const { collection, key, options } of indexes) {
    const { indexes } = collections[collection] ??= { indexes: [] }
    // The Terraform provider supports neither descending nor partial indexes
    const directions = Object.values(key)
    if (directions.some((direction) => direction !== 1)) {
      throw new Error(`${collection}: only ascending indexes can be made by Terraform`)
    }
    const fields = Object.keys(key)
    indexes.push(fields)
    // Compound indexes of Cosmos DB for MongoDB (RU) ignore values inside of arrays
    if (fields.length > 1 && fields[0]!.startsWith('records.')) indexes.push([fields[0]!])
    if (options?.expireAfterSeconds === 0) collections[collection]!.ttl_seconds = CLAIM_LIFETIME_MS / 1_000
    else if (options) throw new Error(`${collection}: an option of an index that Terraform does not set`)
  }
  return collections
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.stdout.write(`${JSON.stringify(collections, null, 2)}\n`)
}
