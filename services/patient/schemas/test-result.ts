import { Type, type Static } from 'typebox'
import { Identifier, storedAda } from './patient.ts'
import {
  anyText, assigned, closed, codes, dateOrTime, loaded, named, numberOrQuantity, optional, Period, Quantity,
  refused, removable, text, textOrConcept, uuid, withOneOf
} from './values.ts'

// Codes and kinds of values are those of Observation and DiagnosticReport in FHIR R4.
// A new property of a test result is added to `details`.

export const observationStatus = codes(
  'registered', 'preliminary', 'final', 'amended', 'corrected', 'cancelled', 'entered-in-error', 'unknown'
)
export const reportStatus = codes(
  'registered', 'partial', 'preliminary', 'final', 'amended', 'corrected', 'appended', 'cancelled',
  'entered-in-error', 'unknown'
)

const kinds = {
  ...Quantity.properties,
  number: Type.Optional(Quantity.properties.number),
  ...optional({
    coded: textOrConcept(),
    text: anyText,
    boolean: Type.Boolean(),
    range: { ...closed(optional({ low: numberOrQuantity, high: numberOrQuantity })), minProperties: 1 },
    ratio: {
      ...closed(optional({ numerator: numberOrQuantity, denominator: numberOrQuantity })), minProperties: 1
    },
    time: Type.String({ format: 'time', description: 'A time of day, a date, or a date and time' }),
    period: Period
  })
}

/** A value of one kind; a number may have a unit. */
export const Value = named('Value', {
  ...closed(kinds),
  oneOf: ['number', 'coded', 'text', 'boolean', 'range', 'ratio', 'time', 'period']
    .map((kind) => ({ required: [kind] })),
  dependencies: Object.fromEntries(['unit', 'system', 'code', 'comparator'].map((name) => [name, ['number']]))
})

export const ReferenceRange = named('ReferenceRange', closed(optional({
  low: numberOrQuantity,
  high: numberOrQuantity,
  text: anyText,
  type: textOrConcept(),
  appliesTo: Type.Array(textOrConcept(), { maxItems: 16 })
})))

const measured = {
  code: textOrConcept(anyText),
  ...optional({
    measurement: anyText,
    value: Value,
    absentReason: textOrConcept(),
    interpretation: textOrConcept(anyText),
    referenceRange: Type.Array(ReferenceRange, { maxItems: 32 }),
    note: anyText
  })
}
// A reason says why there is no value (FHIR's constraint obs-6)
const noValueWithReason = { not: { required: ['value', 'absentReason'] } }

export const Component = named('Component', {
  ...withOneOf(closed(measured), 'measurement', 'value', 'absentReason'), ...noValueWithReason
})

export const Observation = named('Observation', {
  ...withOneOf(closed({
    id: anyText,
    status: observationStatus,
    ...measured,
    ...optional({
      category: textOrConcept(),
      effective: dateOrTime,
      issued: dateOrTime,
      performer: anyText,
      specimen: textOrConcept(),
      method: textOrConcept(),
      bodySite: textOrConcept(),
      encounter: text(256),
      components: Type.Array(Component, { minItems: 1, maxItems: 256 })
    })
  }), 'measurement', 'value', 'absentReason', 'components'),
  ...noValueWithReason
})

const details = {
  performer: anyText,
  orderReference: anyText,
  identifiers: Type.Array(Identifier, { maxItems: 64 }),
  category: textOrConcept(),
  code: textOrConcept(),
  title: text(1_024),
  status: reportStatus,
  effective: dateOrTime,
  issued: dateOrTime,
  encounter: text(256),
  specimen: textOrConcept(),
  conclusion: anyText
}

const haemoglobin = {
  id: '1',
  code: { system: 'http://loinc.org', code: '718-7', display: 'Haemoglobin' },
  value: { number: 8.2, unit: 'g/dL', system: 'http://unitsofmeasure.org', code: 'g/dL' },
  referenceRange: [{ low: { number: 12, unit: 'g/dL' }, high: { number: 16, unit: 'g/dL' } }],
  interpretation: 'low',
  issued: '2026-01-31T09:00:00Z',
  status: 'final'
}
const result = {
  performer: 'Laboratory 4', status: 'final', effective: '2026-01-30', observations: [haemoglobin]
}
const storedResult = {
  id: '0b0b4bd3-ba83-4b23-a9c9-6e0f2e4b2c11',
  patientId: storedAda.id,
  ...result,
  lastUpdated: '2026-01-31T09:31:00.000Z'
}

const observations = Type.Array(Observation, { minItems: 1, description: 'Each has an id of its own' })
const all = { ...details, observations }
const test = { patientId: Type.Optional(uuid), ...optional(all) }

export const TestDetails = withOneOf(closed(test), 'observations', 'conclusion')
export const NewTest = withOneOf(closed({ ...test, ...refused }, result), 'observations', 'conclusion')
export const TestUpdate = withOneOf(
  closed({ ...test, ...loaded }, { ...storedResult, orderReference: 'A-17' }), 'observations', 'conclusion'
)
export const TestPatch = closed(
  { ...loaded, patientId: test.patientId, ...removable(all) },
  { performer: null, orderReference: 'A-17' }
)
export const Test = Type.Object({ ...assigned, ...test, patientId: uuid }, { examples: [storedResult] })

/** An observation, or a component of one, with the id of its test result. */
export const ObservationOfTest = Type.Object({ testId: uuid, ...Observation.properties }, {
  examples: [{ testId: storedResult.id, effective: '2026-01-30', ...haemoglobin }]
})

export type Observation = Static<typeof Observation>
export type TestDetails = Static<typeof TestDetails>
