import { buildApp } from '../../patient/app.ts'
import { loadConfig } from '../../patient/config.ts'
import { AuditUnavailable, OutOfTime } from '../../patient/errors.ts'
import { PatientCriteria } from '../../patient/schemas/criteria.ts'
import {
  Address, Contact, Identifier, NewPatient, Patient, PatientPatch, PatientUpdate
} from '../../patient/schemas/patient.ts'
import {
  Component, NewTest, Observation, ObservationOfTest, ReferenceRange, Test, TestPatch, TestUpdate, Value
} from '../../patient/schemas/test-result.ts'
import { Concept, Period, Quantity } from '../../patient/schemas/values.ts'
import type { Api } from './document.ts'
import { GatewayError, gatewayResponses } from './gateway.ts'

// The service neither listens nor connects while its routes are read
const settings = {
  LOG_LEVEL: 'silent',
  ALLOWED_CALLERS: '127.0.0.1/32',
  CALLER_ADDRESS: 'peer',
  AUDIT_URL: 'http://127.0.0.1:9',
  PATIENT_HOST_KEY: 'not-a-key-of-any-service',
  AUDIT_HOST_KEY: 'not-a-key-of-any-service',
  PATIENT_DATA_KEY: Buffer.alloc(32).toString('base64url'),
  PATIENT_DB_CONNECTION: 'mongodb://127.0.0.1:9/'
}

const VERSION = '"0198c1f2-7a3b-7000-8000-0f3f2f6a1c11"'

/** The Patient API, as clients of the gateway see it. */
export const patientApi: Api = {
  build: (onRoute) => buildApp(loadConfig(settings), { onRoute }),
  openapi: {
    info: {
      title: 'Patient API',
      version: '1.0.0',
      description: 'Patient records and test results. Every interaction is recorded in an audit register: ' +
        'writes before they are applied, reads before the response is sent.'
    },
    servers: [{
      url: 'https://{gateway}',
      description: 'The gateway',
      variables: { gateway: { default: 'gateway.example.com' } }
    }],
    tags: [
      { name: 'patients', description: 'Patients' },
      { name: 'tests', description: 'Test results of a patient' }
    ],
    security: [{ subscriptionKeyHeader: [] }, { subscriptionKeyQuery: [] }],
    components: {
      securitySchemes: {
        subscriptionKeyHeader: { type: 'apiKey', in: 'header', name: 'Ocp-Apim-Subscription-Key' },
        subscriptionKeyQuery: { type: 'apiKey', in: 'query', name: 'subscription-key' }
      }
    }
  },
  tagOf (url) {
    if (!url.startsWith('/patient')) return undefined
    return url.includes('/tests') ? 'tests' : 'patients'
  },
  schemas: {
    Patient,
    NewPatient,
    PatientUpdate,
    PatientPatch,
    PatientCriteria,
    Test,
    NewTest,
    TestUpdate,
    TestPatch,
    ObservationOfTest,
    Address,
    Component,
    Concept,
    Contact,
    Identifier,
    Observation,
    Period,
    Quantity,
    ReferenceRange,
    Value,
    GatewayError
  },
  problems: [AuditUnavailable, OutOfTime],
  responses: gatewayResponses,
  requestHeaders: [
    {
      of: (_id, hasResponse) => hasResponse(201),
      name: 'Idempotency-Key',
      description: 'Requests with the same key create only once, within 24 hours',
      example: '1f6d0c6c-4a56-4a86-9d0b-2f2a86b0b7aa'
    },
    {
      of: (id) => id === 'create-patient',
      name: 'If-None-Exist',
      description: 'A patient with this identifier is returned instead of another being created',
      example: 'identifier=https://hospital.example.com/mrn|0042-17'
    },
    {
      of: (id) => id === 'search-patients',
      name: 'Prefer',
      description: 'count=exact asks for the number of patients (RFC 7240)',
      example: 'count=exact'
    },
    {
      of: (_id, hasResponse) => hasResponse(304),
      name: 'If-None-Match',
      description: 'The response is 304 if one of these is the current version',
      example: VERSION
    },
    {
      of: (_id, hasResponse) => hasResponse(412) && !hasResponse(201),
      name: 'If-Match',
      description: 'Nothing is changed unless one of these is the current version',
      example: VERSION
    }
  ],
  responseHeaders: [
    {
      statuses: [200],
      operations: ['search-patients'],
      name: 'Total-Count',
      description: 'The number of patients that the search finds, if Prefer asked for it',
      example: 17
    },
    {
      statuses: [200],
      operations: ['search-patients'],
      name: 'Preference-Applied',
      description: 'count=exact if there is a Total-Count (RFC 7240)',
      example: 'count=exact'
    },
    {
      statuses: [200, 201, 304],
      pages: false,
      name: 'ETag',
      description: 'The version of the patient or test result, a strong validator (RFC 9110)',
      example: VERSION
    },
    {
      statuses: [201],
      name: 'Location',
      description: 'The path of what was created',
      example: '/patient/6f0c7e5e-7d0f-4c8e-9a53-0f3f2f6a1c11'
    },
    {
      statuses: [200],
      pages: true,
      name: 'Link',
      description: 'The next page, if there is one (RFC 8288)',
      example: '</patient/search?limit=100&sort=id&cursor=…>; rel="next"'
    },
    {
      statuses: [403, 409, 429, 503],
      name: 'Retry-After',
      description: 'Seconds to wait before the next attempt',
      example: 1
    },
    {
      statuses: [415],
      name: 'Accept-Encoding',
      description: 'The encoding that the service accepts',
      example: 'identity'
    },
    {
      statuses: [401],
      name: 'WWW-Authenticate',
      description: 'How to send the key',
      example: 'AzureApiManagementKey realm="https://gateway.example.com",' +
        'name="Ocp-Apim-Subscription-Key",type="header"'
    }
  ]
}
