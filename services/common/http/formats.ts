import { fullFormats } from 'ajv-formats/dist/formats.js'

interface Format {
  /** Completes the sentence "<property> …". */
  message: string
  validate: RegExp | ((text: string) => boolean)
}

// That of ajv-formats also accepts a space in place of the T, and offsets without minutes
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/
const { validate: isDateTime } = fullFormats['date-time'] as { validate: (text: string) => boolean }
const { validate: isDate } = fullFormats.date as { validate: (text: string) => boolean }
const PARTIAL_DATE = /^(?!0000)\d{4}(-\d\d){0,2}$/

// That of ajv-formats also accepts the prefix urn:uuid:
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The string formats of the API's schemas. */
export const stringFormats: Record<string, Format> = {
  uuid: { message: 'must be a UUID', validate: UUID },
  'date-time': {
    message: 'must be a date and time as RFC 3339 writes it',
    validate: (text) => RFC_3339.test(text) && isDateTime(text)
  },
  'partial-date': {
    message: 'must be a date that exists, as YYYY, YYYY-MM or YYYY-MM-DD',
    validate: (text) => PARTIAL_DATE.test(text) && isDate(`${text}-01-01`.slice(0, 10))
  }
}

export function isUuid (text: string) {
  return UUID.test(text)
}
