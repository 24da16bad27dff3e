import { Type, type Static, type TOptional, type TProperties, type TSchema, type TUnsafe } from 'typebox'

// What patients and test results are made of. Lengths are in UTF-16 code units.

export function text (maxLength: number, description?: string) {
  return Type.String({ minLength: 1, maxLength, ...(description && { description }) })
}

/** Text without a limit of its own: the size of the document limits it. */
export const anyText = Type.String({ minLength: 1 })
export const uuid = Type.String({ format: 'uuid' })
export const dateTime = Type.String({ format: 'date-time', description: 'A date and time (RFC 3339)' })
export const partialDate = Type.String({
  format: 'partial-date',
  description: 'A valid date, as YYYY, YYYY-MM or YYYY-MM-DD'
})
export const lifeDate = Type.String({
  format: 'life-date',
  description: 'A valid date from 1850 to today, as YYYY, YYYY-MM or YYYY-MM-DD'
})
export const lifeDateOrTime = Type.String({
  format: 'life-date-or-time',
  description: 'A valid date from 1850 to today, or a date and time (RFC 3339)'
})
export const dateOrTime = Type.String({
  format: 'date-or-time',
  description: 'A valid date, as YYYY, YYYY-MM or YYYY-MM-DD, or a date and time (RFC 3339)'
})

export function codes<const T extends string[]> (...values: T) {
  return Type.Enum(values, { type: 'string' })
}

/** An object that has these properties and no others. */
export function closed<T extends TProperties> (properties: T, example?: object) {
  return Type.Object(properties, { additionalProperties: false, ...(example && { examples: [example] }) })
}

/** Gives a schema the name under which the description of the API has it once. */
export function named<T extends TSchema> (title: string, schema: T): T {
  return { ...schema, title }
}

/** Requires one of the properties `names`. */
export function withOneOf<T extends TSchema> (schema: T, ...names: string[]): T {
  return { ...schema, anyOf: names.map((name) => ({ required: [name] })) }
}

const notSent = Type.Optional(Type.Never())

/** Assigned by the service. */
export const assigned = { id: uuid, lastUpdated: dateTime }
/** Refused in a create. */
export const refused = { id: notSent, lastUpdated: notSent }
/** Ignored in an update. */
export const loaded = { id: Type.Optional(uuid), lastUpdated: Type.Optional(dateTime) }

type Each<T, Change extends 'optional' | 'removable'> = {
  [K in keyof T]: T[K] extends TSchema
    ? TOptional<Change extends 'optional' ? T[K] : TUnsafe<Static<T[K]> | null>>
    : never
}

export function optional<T extends TProperties> (properties: T) {
  return mapValues(properties, (schema) => Type.Optional(schema)) as Each<T, 'optional'>
}

/** Properties of a merge patch (RFC 7396), in which null removes a property. */
export function removable<T extends TProperties> (properties: T) {
  return mapValues(properties, (schema) => Type.Optional(nullable(schema))) as Each<T, 'removable'>
}

function nullable (schema: TSchema & { type?: string, anyOf?: object[] }) {
  if (schema.type) return Type.Unsafe({ ...schema, type: [schema.type, 'null'] })
  return Type.Unsafe({ ...schema, anyOf: [...schema.anyOf!, { type: 'null' }] })
}

function mapValues (properties: TProperties, change: (schema: TSchema) => TSchema): TProperties {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, change(schema)]))
}

export const Period = named('Period', closed(optional({ start: dateOrTime, end: dateOrTime })))

const coding = { system: text(256, 'The code system, a URI'), code: text(256), display: text(1_024) }

/** A code, with what its author wrote and its codes in other systems (FHIR's CodeableConcept). */
export const Concept = named('Concept', withOneOf(closed(optional({
  ...coding,
  text: text(4_096),
  translations: Type.Array(withOneOf(closed(optional(coding)), 'code', 'display'), { maxItems: 16 })
})), 'code', 'display', 'text'))

/** Text, or a code of a code system. */
export const textOrConcept = (plain: TSchema = text(1_024)) =>
  Type.Unsafe<string | Static<typeof Concept>>({ anyOf: [plain, Concept] })

/** A number that keeps its digits: 7.20 stays 7.20. */
const decimal = Type.Number()

export const Quantity = named('Quantity', closed({
  number: decimal,
  ...optional({
    unit: text(256),
    system: text(256, 'The system of the unit\'s code, http://unitsofmeasure.org for UCUM'),
    code: text(256, 'The code of the unit'),
    comparator: codes('<', '<=', '>=', '>', 'ad')
  })
}))

/** A number, or a quantity with its unit. */
export const numberOrQuantity = Type.Unsafe<number | Static<typeof Quantity>>({ anyOf: [decimal, Quantity] })
