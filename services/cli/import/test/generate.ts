import { hash } from 'node:crypto'

const FIRST = ['Ada', 'Zoë', 'Иван', 'さくら', 'محمد', 'Ngọc', 'Łukasz', 'Ελένη']
const LAST = ['Lovelace', 'O’Brien', 'Петров', '佐藤', 'الحسن', 'Nguyễn', 'Żuraw', 'Παππάς']
const LOINC = 'http://loinc.org'
const UCUM = 'http://unitsofmeasure.org'

function uuid (text: string) {
  return hash('sha256', text).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5')
}

/** NDJSON of invented patients, each with a report of two observations and an observation without one. */
export function * generate (patients: number): Generator<string> {
  for (let i = 0; i < patients; i++) yield * person(i)
}

function * person (i: number): Generator<string> {
  const id = (kind: string) => uuid(`${kind} ${i}`)
  const subject = { reference: `urn:uuid:${id('patient')}` }
  const effectiveDateTime = `2025-0${1 + i % 9}-1${i % 10}T08:00:00+01:00`
  const coded = (code: string, display: string) =>
    ({ coding: [{ system: LOINC, code, display }], text: display })
  // JSON.stringify does not write trailing zeros
  const observation = (kind: string, code: string, display: string, number: string) => JSON.stringify({
    resourceType: 'Observation',
    id: id(kind),
    status: 'final',
    subject,
    code: coded(code, display),
    effectiveDateTime,
    valueQuantity: { value: 0.125, unit: 'mmol/L', system: UCUM, code: 'mmol/L' }
  }).replace('0.125', number)
  const result = ['sodium', 'potassium'].map((kind) => ({ reference: `urn:uuid:${id(kind)}` }))
  // The order is no help
  yield JSON.stringify({
    resourceType: 'DiagnosticReport',
    id: id('report'),
    status: 'final',
    code: coded('24326-1', 'Electrolytes'),
    subject,
    effectiveDateTime,
    issued: effectiveDateTime,
    result: [{ ...result[0], display: 'Sodium' }, { ...result[1], display: 'Potassium' }]
  })
  yield observation('sodium', '2951-2', 'Sodium', `13${i % 10}.0`)
  yield observation('glucose', '15074-8', 'Glucose', `5.${i % 10}0`)
  yield JSON.stringify({
    resourceType: 'Patient',
    id: id('patient'),
    identifier: [{ system: 'https://hospital.example.com/mrn', value: String(100_000 + i) }],
    name: [{ use: 'official', family: LAST[i % LAST.length], given: [FIRST[i % FIRST.length]] }],
    telecom: [{ system: 'phone', value: `+44 20 7946 0${String(i % 1_000).padStart(3, '0')}`, use: 'home' }],
    gender: ['female', 'male', 'other', 'unknown'][i % 4],
    birthDate: [`19${30 + i % 70}`, `19${30 + i % 70}-05`, `19${30 + i % 70}-05-17`][i % 3],
    address: [{ line: [`${i} Example Road`], city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' }],
    multipleBirthBoolean: false
  })
  yield observation('potassium', '2823-3', 'Potassium', `4.${i % 10}0`)
}
