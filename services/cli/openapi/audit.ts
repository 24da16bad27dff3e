import { buildApp } from '../../audit/app.ts'
import { loadConfig } from '../../audit/config.ts'
import { ActorSummary, Statistics, StoredAuditRecord } from '../../audit/routes/schemas.ts'
import type { Api } from './document.ts'
import { FindingPatch, FindingView, WatchedPatientView } from '../../audit/routes/review-schemas.ts'
import { GatewayError, gatewayInfo, gatewayResponseHeaders, gatewayResponses } from './gateway.ts'

// The service neither listens nor connects while its routes are read
const settings = {
  LOG_LEVEL: 'silent',
  ALLOWED_CALLERS: '127.0.0.1/32',
  CALLER_ADDRESS: 'peer',
  AUDIT_HOST_KEY: 'not-a-key-of-any-service',
  AUDIT_QUERY_KEY: 'not-a-key-of-any-service',
  AUDIT_LOG_KEY: 'k'.repeat(43),
  AUDIT_DB_CONNECTION: 'mongodb://127.0.0.1:9/'
}

const TAGS: Record<string, string> = { audit: 'records', patient: 'patients', log: 'log' }

/** Nothing in them is about anybody, so who reads them is not recorded. */
const LOG = ['load-checkpoint', 'load-log-keys', 'load-tile']
const WITH_ETAG = ['load-finding', 'review-finding']

/** The audit register, as auditors see it through the gateway. The routes that store records are left out. */
export const auditApi: Api = {
  build: (onRoute) => buildApp(loadConfig(settings), { onRoute }),
  openapi: {
    ...gatewayInfo,
    info: {
      title: 'Audit API',
      version: '1.0.0',
      description: 'The audit register of the Patient API. Every question is recorded before it is answered.'
    },
    tags: [
      { name: 'records', description: 'Records' },
      { name: 'patients', description: 'Access to the data of a patient' },
      {
        name: 'log',
        description: 'The transparency log of the records. OpenAPI has no wildcards: a `*` at the end of a ' +
          'path stands for one or more segments.'
      }
    ]
  },
  tagOf: (url) => TAGS[url.split('/')[1]!],
  schemas: {
    AuditRecord: StoredAuditRecord,
    ActorSummary,
    Statistics,
    Finding: FindingView,
    FindingPatch,
    WatchedPatient: WatchedPatientView,
    GatewayError
  },
  problems: [],
  responses: gatewayResponses,
  requestHeaders: {
    'If-Match': {
      statuses: [200],
      operations: ['review-finding'],
      description: 'The ETag of the finding that the change is for',
      example: '"3"'
    },
    'X-On-Behalf-Of': {
      statuses: [200, 204],
      except: LOG,
      description: 'The person for whom the question is asked',
      example: 'reviewer-17'
    },
    'X-Purpose-Of-Use': {
      statuses: [200, 204],
      except: LOG,
      description: 'Why it is asked, a code of the HL7 v3 value set PurposeOfUse',
      example: 'HCOMPL'
    },
    'X-Purpose-Reason': {
      statuses: [200, 204],
      except: LOG,
      description: 'The reason for the purpose, 10 to 200 characters in UTF-8, required if it is ETREAT or ' +
        'BTG',
      example: 'Complaint of the patient of 3 March'
    }
  },
  responseHeaders: {
    ETag: {
      statuses: [200],
      operations: WITH_ETAG,
      description: 'The version of the finding',
      example: '"3"'
    },
    Link: {
      statuses: [200],
      pages: true,
      except: ['list-watched-patients'],
      description: 'The next page, if there is one (RFC 8288)',
      example: '</audit?id=…&sort=-createdDate&cursor=…>; rel="next"'
    },
    ...gatewayResponseHeaders
  }
}
