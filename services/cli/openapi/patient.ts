import { buildApp } from '../../patient/app.ts'
import { loadConfig } from '../../patient/config.ts'
import { AuditUnavailable, OutOfTime } from '../../patient/errors.ts'
import { PatientCriteria } from '../../patient/schemas/criteria.ts'
import { MergeRequest, MoveRequest, Version } from '../../patient/schemas/life.ts'
import {
  Address, Contact, Identifier, NewPatient, Patient, PatientPatch, PatientUpdate
} from '../../patient/schemas/patient.ts'
import {
  Component, NewTest, Observation, ObservationOfTest, ReferenceRange, Test, TestPatch, TestUpdate, Value
} from '../../patient/schemas/test-result.ts'
import { Concept, Period, Quantity } from '../../patient/schemas/values.ts'
import type { Api } from './document.ts'
import { GatewayError, gatewayInfo, gatewayResponseHeaders, gatewayResponses } from './gateway.ts'

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
    ...gatewayInfo,
    info: {
      title: 'Patient API',
      version: '1.0.0',
      description: 'Patient records and test results. Every interaction is recorded in an audit register: ' +
        'writes before they are applied, reads before the response is sent.'
    },
    tags: [
      { name: 'patients', description: 'Patients' },
      { name: 'tests', description: 'Test results of a patient' }
    ]
  },
  tagOf: (url) => url.startsWith('/patient') ? (url.includes('/tests') ? 'tests' : 'patients') : undefined,
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
    Version,
    MoveRequest,
    MergeRequest,
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
  requestHeaders: {
    'X-On-Behalf-Of': {
      statuses: [200, 201, 204],
      description: 'The person for whom the system calls, as an opaque id of 1 to 128 letters, digits or ' +
        'characters of ._@:-; recorded in the audit register',
      example: 'staff:4711'
    },
    'X-Purpose-Of-Use': {
      statuses: [200, 201, 204],
      description: 'Why the system calls, a code of the HL7 v3 value set PurposeOfUse; recorded',
      example: 'TREAT'
    },
    'X-Purpose-Reason': {
      statuses: [200, 201, 204],
      description: 'The reason for the purpose, 10 to 200 characters in UTF-8, required if it is ETREAT or ' +
        'BTG; recorded as it is sent, so it must not have values of a patient',
      example: 'Unconscious after an accident'
    },
    'Idempotency-Key': {
      statuses: [201],
      description: 'Requests with the same key create only once, within 24 hours',
      example: '1f6d0c6c-4a56-4a86-9d0b-2f2a86b0b7aa'
    },
    'If-None-Exist': {
      statuses: [201],
      operations: ['create-patient'],
      description: 'A patient with this identifier is returned instead of another being created',
      example: 'identifier=https://hospital.example.com/mrn|0042-17'
    },
    Prefer: {
      statuses: [200],
      operations: ['search-patients'],
      description: 'count=exact asks for the number of patients (RFC 7240)',
      example: 'count=exact'
    },
    'If-None-Match': {
      statuses: [304],
      description: 'The response is 304 if one of these is the current version',
      example: VERSION
    },
    'If-Match': {
      statuses: [412],
      except: ['create-patient'],
      description: 'Nothing is changed unless one of these is the current version',
      example: VERSION
    }
  },
  responseHeaders: {
    'Total-Count': {
      statuses: [200],
      operations: ['search-patients'],
      description: 'The number of patients that the search finds, if Prefer asked for it',
      example: 17
    },
    'Preference-Applied': {
      statuses: [200],
      operations: ['search-patients'],
      description: 'count=exact if there is a Total-Count (RFC 7240)',
      example: 'count=exact'
    },
    ETag: {
      statuses: [200, 201, 304],
      pages: false,
      description: 'The version of the patient or test result, a strong validator (RFC 9110)',
      example: VERSION
    },
    Location: {
      statuses: [201],
      description: 'The path of what was created',
      example: '/patient/6f0c7e5e-7d0f-4c8e-9a53-0f3f2f6a1c11'
    },
    Link: {
      statuses: [200],
      pages: true,
      description: 'The next page, if there is one (RFC 8288)',
      example: '</patient/search?limit=100&sort=id&cursor=…>; rel="next"'
    },
    'Accept-Encoding': {
      statuses: [415], description: 'The encoding that the service accepts', example: 'identity'
    },
    ...gatewayResponseHeaders
  }
}
