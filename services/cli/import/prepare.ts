import { toTest } from './fhir/observation.ts'
import { toPatient } from './fhir/patient.ts'
import { toReport, type Result } from './fhir/report.ts'
import { parseExact, Source, type Element } from './fhir/source.ts'
import { DELETED, REFUSED, STORED } from './schema.ts'
import type { Reason, Stage, Staged } from './stage.ts'

/** A patient or a test result to store, made from resources: the first, and those within it. */
export interface Prepared {
  resources: Staged[]
  /** The patient of a test result. */
  patient?: Staged
  body: object
  unread: Map<string, number>
}

/** What cannot be stored, and why. */
export interface Refused {
  resources: Staged[]
  reason: Reason
}

type Preparing = Generator<Prepared | Refused>

const NO_PATIENT = refusal('#/subject', 'must name a patient of the input')
const PATIENT_REFUSED = refusal('#/subject', 'names a patient that was refused')
const MODIFIED = refusal('', 'has a modifierExtension, which may change its meaning')

function refusal (pointer: string, message: string): Reason {
  return [{ pointer, message }]
}

/** The patients that wait. */
export function * preparePatients (stage: Stage): Preparing {
  for (const row of stage.waiting('Patient')) {
    const source = sourceOf(row)
    if (isModified(row)) yield { resources: [row], reason: MODIFIED }
    else yield { resources: [row], body: toPatient(source.root, row.id), unread: source.unread() }
  }
  for (const row of stage.waiting('patient')) {
    yield { resources: [row], body: parseExact(row.json!) as object, unread: new Map() }
  }
}

/** The reports that wait, each with its observations. */
export function * prepareReports (stage: Stage): Preparing {
  for (const row of stage.waiting('DiagnosticReport')) yield collected(stage, row, 'result')
}

/** The observations that wait after the reports: first those that collect others, then each of the rest. */
export function * prepareObservations (stage: Stage): Preparing {
  for (const row of stage.waiting('Observation')) {
    if (isPanel(row)) yield collected(stage, row, 'hasMember')
  }
}

export function * prepareSingleObservations (stage: Stage): Preparing {
  for (const row of stage.waiting('Observation')) {
    const patient = patientOf(stage, row)
    if (Array.isArray(patient)) yield { resources: [row], reason: patient }
    else if (isModified(row)) yield { resources: [row], reason: MODIFIED }
    else {
      const source = sourceOf(row)
      readSubject(source.root)
      const body = toTest(source.root, row.id)
      yield { resources: [row], patient, body, unread: source.unread() }
    }
  }
  for (const row of stage.waiting('test')) {
    const patient = stage.get('patient', row.subject!)
    if (patient && isKnown(patient)) {
      const body = parseExact(row.json!) as object
      yield { resources: [row], patient, body, unread: new Map() }
    } else yield { resources: [row], reason: patient ? PATIENT_REFUSED : NO_PATIENT }
  }
}

/** A report, or an observation with members, as one test result. */
function collected (stage: Stage, row: Staged, list: 'result' | 'hasMember'): Prepared | Refused {
  const source = sourceOf(row)
  const patient = patientOf(stage, row)
  const found = new Members(stage)
  found.collect(source, list)
  const { members, results } = found
  const resources = [row, ...members.map(({ row }) => row)]
  if (Array.isArray(patient)) return { resources, reason: patient }
  if (resources.some(isModified)) return { resources, reason: MODIFIED }
  const foreign = members.findIndex(({ row: { subject } }) =>
    subject !== null && stage.find('Patient', subject)?.seq !== patient.seq)
  if (foreign !== -1) {
    return { resources, reason: refusal(`#/observations/${foreign}`, 'must be of the same patient') }
  }
  for (const { root } of [source, ...members.map(({ source }) => source)]) readSubject(root)
  const body = toReport(source.root, row.id, results)
  if (results.length === 0) delete (body as { observations?: unknown }).observations
  const unread = new Map<string, number>()
  for (const one of [source, ...members.map(({ source }) => source)]) {
    for (const [path, count] of one.unread()) unread.set(path, (unread.get(path) ?? 0) + count)
  }
  return { resources, patient, body, unread }
}

interface Member {
  row: Staged
  source: Source
}

/** The observations that a report names, and those that these collect, each once. */
class Members {
  readonly members: Member[] = []
  readonly results: Result[] = []
  #stage: Stage

  constructor (stage: Stage) {
    this.#stage = stage
  }

  collect (source: Source, list: 'result' | 'hasMember') {
    for (const reference of source.root.children(list)) {
      const to = reference.peek('reference')
      if (typeof to !== 'string') continue
      const contained = source.contained(to)
      const row = contained ? undefined : this.#stage.find('Observation', to)
      if (!contained && !row?.json) continue
      reference.text('reference')
      if (contained) this.results.push({ element: contained, id: to.slice(1) })
      else if (row) this.#add(row, reference)
    }
  }

  #add (row: Staged, reference: Element) {
    const known = this.members.find((member) => member.row.seq === row.seq)
    const source = known?.source ?? sourceOf(row)
    readDisplay(reference, source.root)
    if (known) return
    this.members.push({ row, source })
    // The model has no panel within a test result: its members are in the report
    if (isPanel(row)) this.collect(source, 'hasMember')
    else this.results.push({ element: source.root, id: row.id })
  }
}

/** Reads the display of a reference if the observation says the same. */
function readDisplay (reference: Element, { holder }: Element) {
  const { text, coding } = (holder.code ?? {}) as { text?: unknown, coding?: unknown }
  const codings = (Array.isArray(coding) ? coding : []) as Array<{ display?: unknown }>
  const display = reference.peek('display')
  if (display === text || codings.some((one) => one?.display === display)) reference.text('display')
}

/** The patient of a resource, or why it has none. */
function patientOf (stage: Stage, { subject }: Staged): Staged | Reason {
  const patient = subject === null ? undefined : stage.find('Patient', subject)
  if (!patient) return NO_PATIENT
  if (patient.state === REFUSED) return PATIENT_REFUSED
  return isKnown(patient) ? patient : NO_PATIENT
}

/** Whether a patient was stored. One that was deleted may have been restored. */
const isKnown = ({ state }: Staged) => state === STORED || state === DELETED

/** The patient of a test result stands for the reference to it. */
function readSubject (element: Element) {
  element.child('subject')?.text('reference')
}

function sourceOf ({ json }: Staged) {
  return new Source(parseExact(json!) as object)
}

// Extensions of this kind may not be left out (FHIR R4, 2.4.1.2)
const isModified = ({ json }: Staged) => json!.includes('"modifierExtension"')

const VALUES = /"(?:value[A-Z]\w*|dataAbsentReason|component)"/

/** Whether an observation has others in place of a value. */
function isPanel ({ json }: Staged) {
  if (!json!.includes('"hasMember"')) return false
  return !Object.keys(JSON.parse(json!)).some((name) => VALUES.test(`"${name}"`))
}
