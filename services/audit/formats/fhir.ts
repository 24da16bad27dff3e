import { createHash } from 'node:crypto'
import type { StoredRecord } from '#common/audit-record.ts'
import { patientsOf } from '../queries/patients.ts'
import type { Action, Question } from '../routes/questions.ts'

// FHIR R4 AuditEvents that conform to IHE Basic Audit Log Patterns 1.1.4. An event is made when a record is
// read: the profiles allow one patient an event, so that a search that disclosed several becomes several.

type Content = Omit<StoredRecord, 'salt'>

const PROFILES = 'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.'
const TERMINOLOGY = 'http://terminology.hl7.org/CodeSystem/'
const ENTITY_TYPE = `${TERMINOLOGY}audit-entity-type`
const ROLE = `${TERMINOLOGY}object-role`
const BALP_TYPE = 'https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType'
const DICOM = 'http://dicom.nema.org/resources/ontology/DCM'
const INTERACTION = 'http://hl7.org/fhir/restful-interaction'

interface Kind {
  profile: 'Create' | 'Read' | 'Update' | 'Delete' | 'Query'
  /** The interaction of the REST API. */
  interaction: string
  action: 'C' | 'R' | 'U' | 'D' | 'E'
}

const read: Kind = { profile: 'Read', interaction: 'read', action: 'R' }
const query: Kind = { profile: 'Query', interaction: 'search-type', action: 'E' }
const update: Kind = { profile: 'Update', interaction: 'update', action: 'U' }

const remove: Kind = { profile: 'Delete', interaction: 'delete', action: 'D' }

/** What auditors ask and change, by operation. */
export const kindsOfRegister = {
  load: read,
  proof: read,
  'load-finding': read,
  search: query,
  'access-log': query,
  'actor-summary': query,
  statistics: query,
  evidence: query,
  accounting: query,
  'list-findings': query,
  'list-watched-patients': query,
  'review-finding': { ...update, interaction: 'patch' },
  'watch-patient': update,
  'unwatch-patient': remove
} satisfies Record<(Question | Action)['operation'], Kind>

/** By operation; all others change something. */
const KINDS: Record<string, Kind> = {
  ...kindsOfRegister,
  create: { profile: 'Create', interaction: 'create', action: 'C' },
  'load-version': { ...read, interaction: 'vread' },
  patch: { ...update, interaction: 'patch' },
  delete: remove,
  archive: remove,
  list: query,
  'list-versions': query,
  observations: query
}

/** The FHIR resources that the types of records stand for. */
const RESOURCES: Record<string, string> = {
  patient: 'Patient', test: 'DiagnosticReport', 'audit-record': 'AuditEvent'
}

/**
 * A Bundle of the events of `records`.
 *
 * @param patientId makes only the events that are about this patient
 */
export function bundleOf (records: Content[], patientId?: string) {
  const events = records.flatMap((record) => eventsOf(record, patientId))
  return {
    resourceType: 'Bundle',
    type: 'collection',
    entry: events.map((resource) => ({ fullUrl: `urn:uuid:${resource.id}`, resource }))
  }
}

/** The events of one record: one for each patient, or one without a patient. */
export function eventsOf (record: Content, patientId?: string) {
  const patients: Array<string | undefined> = patientId ? [patientId] : patientsOf(record)
  if (patients.length === 0) patients.push(undefined)
  return patients.map((patient, i) => eventOf(record, i === 0 ? record.id : idOf(record.id, i), patient))
}

function eventOf (record: Content, id: string, patient: string | undefined) {
  const { resource, createdDate, outcome, disclosed, sourceSystemName } = record
  const isRefusal = resource.operation === 'refuse'
  const kind = KINDS[resource.operation] ?? update
  const notFound = kind === read && disclosed?.length === 0
  const failed = outcome === 'failure' || notFound
  return {
    resourceType: 'AuditEvent',
    id,
    // The profiles are for what was done, not for what failed
    ...(!failed && { meta: { profile: [`${PROFILES}${patient ? 'Patient' : ''}${kind.profile}`] } }),
    ...(isRefusal
      ? REFUSAL
      : {
          type: coding(`${TERMINOLOGY}audit-event-type`, 'rest'),
          subtype: [coding(INTERACTION, kind.interaction)],
          action: kind.action
        }),
    recorded: new Date(createdDate).toISOString(),
    ...outcomeOf(record, kind, failed, notFound),
    agent: agentsOf(record, kind),
    source: { observer: named(sourceSystemName) },
    entity: entitiesOf(record, kind, patient)
  }
}

/** Writes are recorded before they are applied; one that fails then has a second record. */
function outcomeOf ({ outcome, disclosed }: Content, { action }: Kind, failed: boolean, notFound: boolean) {
  if (failed) return { outcome: '4', outcomeDesc: notFound ? 'not found' : 'failed or refused' }
  const isAttempt = outcome === undefined && disclosed === undefined && action !== 'E' && action !== 'R'
  return { outcome: '0', ...(isAttempt && { outcomeDesc: ATTEMPT }) }
}

function agentsOf (record: Content, { profile }: Kind) {
  const { actor, clientAddress, sourceSystemName, onBehalfOf, purpose, reason } = record
  const [client, server] = AGENT_TYPES[profile] ?? [SOURCE, DESTINATION]
  const purposeOfUse = purpose && [{
    coding: [coding(`${TERMINOLOGY}v3-ActReason`, purpose)],
    ...(reason && { text: reason })
  }]
  return [
    {
      type: { coding: [client] },
      who: named(actor ?? 'unknown'),
      requestor: !onBehalfOf,
      network: clientAddress ? { address: clientAddress, type: '2' } : { address: 'unknown', type: '1' },
      ...(!onBehalfOf && purposeOfUse && { purposeOfUse })
    },
    {
      type: { coding: [server] },
      who: named(sourceSystemName),
      requestor: false,
      network: { address: sourceSystemName, type: '1' }
    },
    ...onBehalfOf
      ? [{
          type: { coding: [coding(`${TERMINOLOGY}v3-ParticipationType`, 'IRCP', 'information recipient')] },
          who: named(onBehalfOf),
          requestor: true,
          ...(purposeOfUse && { purposeOfUse })
        }]
      : []
  ]
}

const SOURCE = coding(DICOM, '110153', 'Source Role ID')
const DESTINATION = coding(DICOM, '110152', 'Destination Role ID')

/** The types of client and server. Data flows from the client, but for reads and deletions. */
const AGENT_TYPES: Partial<Record<Kind['profile'], object[]>> = {
  Read: [DESTINATION, SOURCE],
  Delete: [
    coding(DICOM, '110150', 'Application'),
    coding(`${TERMINOLOGY}provenance-participant-type`, 'custodian', 'Custodian')
  ]
}
const ATTEMPT = 'recorded before it was done; a failure has its own event'
const REFUSAL = {
  type: coding(DICOM, '110113', 'Security Alert'),
  subtype: [coding(DICOM, '110126', 'Node Authentication')],
  action: 'E'
}

function entitiesOf (record: Content, { profile }: Kind, patient: string | undefined) {
  const { resource, operationId, attemptOf, count } = record
  const what = profile === 'Query' ? queryEntity(record) : dataEntity(record)
  return [
    { what: named(operationId), type: coding(BALP_TYPE, 'XrequestId') },
    {
      ...what,
      ...(attemptOf && { description: `The attempt is the event ${attemptOf}` }),
      ...(count && { description: `${count} ${resource.operation === 'archive' ? 'records' : 'calls'}` })
    },
    ...patient
      ? [{
          what: referenceTo('Patient', patient),
          type: coding(ENTITY_TYPE, '1', 'Person'),
          role: coding(ROLE, '1', 'Patient')
        }]
      : []
  ]
}

/** The names of the criteria stand for the query, whose values are not recorded. */
function queryEntity ({ criteria = [], resource }: Content) {
  const names = criteria.length > 0 ? criteria.join('&') : resource.operation
  return {
    type: coding(ENTITY_TYPE, '2', 'System Object'),
    role: coding(ROLE, '24', 'Query'),
    query: Buffer.from(names).toString('base64')
  }
}

function dataEntity ({ resource: { type, id, operation }, disclosed }: Content) {
  // FHIR has no resource for a finding, nor for the file of an archive
  const hasNone = operation.endsWith('-finding') || operation === 'archive'
  const name = hasNone ? undefined : RESOURCES[type]
  const version = disclosed?.length === 1 && disclosed[0]!.id === id ? disclosed[0]!.version : undefined
  const reference = id && (name ? referenceTo(name, id, version) : named(id))
  return {
    what: reference || { display: type },
    type: coding(ENTITY_TYPE, '2', 'System Object'),
    role: coding(ROLE, '4', 'Domain Resource')
  }
}

const FHIR_ID = /^[A-Za-z0-9.-]{1,64}$/

function referenceTo (name: string, id: string, version?: string) {
  if (!FHIR_ID.test(id)) return named(id)
  return { reference: `${name}/${id}${version && FHIR_ID.test(version) ? `/_history/${version}` : ''}` }
}

function named (value: string) {
  return { identifier: { value } }
}

function coding (system: string, code: string, display?: string) {
  return { system, code, ...(display && { display }) }
}

/** The id of a further event of a record: the same whenever the record is read. */
function idOf (recordId: string, index: number) {
  const hex = createHash('sha256').update(`${recordId} ${index}`).digest('hex')
  const groups = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`]
  return [...groups, hex.slice(20, 32)].join('-')
}
