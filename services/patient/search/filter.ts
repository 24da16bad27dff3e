import type { Document } from 'mongodb'
import { invalid } from '../errors.ts'
import type { PatientCriteria } from '../schemas/criteria.ts'
import { fold, foldIdentifier } from './fold.ts'
import { identifierKey, type KeyMaker } from './keys.ts'

/** Sorts after every text. */
const LAST = '\u{10ffff}'
const MIN_PREFIX = 2

/**
 * The filter of a search.
 *
 * @param migrated whether all patients have search keys of the current version. Until then, those that do not
 *   are found by their exact values
 * @throws {InvalidRequest} a prefix has fewer than two letters, or a criterion nothing to search for
 */
export function patientFilter (criteria: PatientCriteria, keys: KeyMaker, migrated: boolean): Document {
  const { id, gender, dateOfBirthFrom, dateOfBirthTo, country, deceased, active } = criteria
  const filters = [
    ...byKeys(criteria, keys, migrated),
    ...byPrefixes(criteria),
    ...bornWithin(dateOfBirthFrom, dateOfBirthTo)
  ]
  if (id !== undefined) filters.push({ _id: id.toLowerCase(), _shardKey: id.toLowerCase() })
  if (gender !== undefined) filters.push({ gender })
  if (country !== undefined) filters.push({ 'addresses.country': country })
  if (deceased !== undefined) filters.push({ deceased: { [deceased ? '$nin' : '$in']: [null, false] } })
  if (active !== undefined) filters.push({ active: active ? { $ne: false } : false })
  return filters.length > 1 ? { $and: filters } : filters[0] ?? {}
}

function byKeys (criteria: PatientCriteria, keys: KeyMaker, migrated: boolean): Document[] {
  const stale = { '_keys.version': { $ne: keys.version } }
  const exact = criteria.match === 'exact'
  return foldedCriteria(criteria, keys).map(([criterion, name, key, stored, storedBefore = stored]) => {
    if (key === '' || key.endsWith('|')) throw invalid(criterion, 'must have a letter or digit')
    const current = { [`_keys.${name}`]: key, ...(exact && stored) }
    return migrated ? current : { $or: [current, { ...stale, ...storedBefore }] }
  })
}

type FoldedCriterion =
  [criterion: string, name: string, key: string, stored: Document, storedBefore?: Document]

/** Each criterion: the name of its search key, the key, and the filter of what is stored as it was sent. */
function foldedCriteria (criteria: PatientCriteria, keys: KeyMaker): FoldedCriterion[] {
  const { firstName, lastName, fullName, postCode, city, insuranceNumber, identifier } = criteria
  const { preferredContactNumber: phone } = criteria
  const found: FoldedCriterion[] = []
  const add = (...criterion: FoldedCriterion) => found.push(criterion)
  if (firstName !== undefined) add('firstName', 'firstName', fold(firstName), { firstName })
  if (lastName !== undefined) {
    add('lastName', 'lastName', fold(lastName), { lastName }, { _lastName: lastName })
  }
  if (fullName !== undefined) add('fullName', 'fullName', fold(fullName), { fullName })
  if (postCode !== undefined) add('postCode', 'postCodes', foldIdentifier(postCode), { postCode })
  if (city !== undefined) add('city', 'cities', fold(city), { 'addresses.city': city })
  if (insuranceNumber !== undefined) {
    add('insuranceNumber', 'insuranceNumbers', foldIdentifier(insuranceNumber), { insuranceNumber })
  }
  if (phone !== undefined) {
    add('preferredContactNumber', 'phones', keys.phoneKey(phone), { preferredContactNumber: phone })
  }
  if (identifier !== undefined) {
    const stored = { identifiers: { $elemMatch: { ...identifier } } }
    add('identifier', 'identifiers', identifierKey(identifier.system, identifier.value), stored)
  }
  return found
}

function byPrefixes (criteria: PatientCriteria): Document[] {
  return (['firstName', 'lastName', 'fullName'] as const).flatMap((name) => {
    const prefix = criteria[`${name}Prefix`]
    if (prefix === undefined) return []
    const from = fold(prefix)
    if (from.length < MIN_PREFIX) throw invalid(`${name}Prefix`, 'must have at least two letters')
    return [{ [`_keys.${name}`]: { $gte: from, $lt: from + LAST } }]
  })
}

/** The filter of the dates of birth that overlap a range. Its ends and the dates may be partial. */
function bornWithin (from: string | undefined, to: string | undefined): Document[] {
  const until = to === undefined ? {} : { $lte: `${to}-99` }
  if (from === undefined) return to === undefined ? [] : [{ dateOfBirth: until }]
  const first = `${from}-01-01`.slice(0, 10)
  const within = { dateOfBirth: { $gte: first, ...until } }
  if (to !== undefined && first > until.$lte!) return [within]
  // The year and the month that a date is in sort before it
  return [{ $or: [within, { dateOfBirth: { $in: [first.slice(0, 4), first.slice(0, 7)] } }] }]
}
