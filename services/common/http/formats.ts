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
    validate: isPartialDate
  },
  'life-date': {
    message: 'must be a date that exists, as YYYY, YYYY-MM or YYYY-MM-DD, from 1850 to today',
    validate: (text) => isPartialDate(text) && text >= '1850' && text <= tomorrow()
  },
  'date-or-time': {
    message: 'must be a date that exists, as YYYY, YYYY-MM or YYYY-MM-DD, ' +
      'or a date and time as RFC 3339 writes it',
    validate: isDateOrTime
  },
  'life-date-or-time': {
    message: 'must be a date that exists, as YYYY, YYYY-MM or YYYY-MM-DD, or a date and time as RFC 3339 ' +
      'writes it, from 1850 to today',
    validate: (text) => isDateOrTime(text) && text >= '1850' && text.slice(0, 10) <= tomorrow()
  },
  time: {
    message: 'must be a time of day as HH:MM or HH:MM:SS, a date, or a date and time as RFC 3339 writes it',
    validate: (text) => TIME_OF_DAY.test(text) || isDateOrTime(text)
  },
  country: {
    message: 'must be the two letters of a country (ISO 3166-1 alpha-2)',
    validate: (text) => /^[A-Z]{2}$/.test(text) && regions.of(text) !== undefined
  },
  language: {
    message: 'must be a language tag (BCP 47)',
    validate: isLanguage
  }
}

const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)(\.\d+)?)?$/
const regions = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })

function isPartialDate (text: string) {
  return PARTIAL_DATE.test(text) && isDate(`${text}-01-01`.slice(0, 10))
}

function isDateOrTime (text: string) {
  return isPartialDate(text) || (RFC_3339.test(text) && isDateTime(text))
}

/** The day that has begun in some time zone at the latest. */
function tomorrow () {
  return new Date(Date.now() + 24 * 60 * 60 * 1_000).toISOString().slice(0, 10)
}

function isLanguage (text: string) {
  try {
    return Intl.getCanonicalLocales(text).length === 1
  } catch {
    return false
  }
}

export function isUuid (text: string) {
  return UUID.test(text)
}

/** A UUID in lower case, as ids are stored. @throws {NotFound} `text` is no UUID */
export function requireUuid (text: string, NotFound: new () => Error) {
  if (!isUuid(text)) throw new NotFound()
  return text.toLowerCase()
}
