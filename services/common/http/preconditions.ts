import type { IncomingHttpHeaders } from 'node:http'
import { InvalidPrecondition } from './problems.ts'

/** The versions that a conditional request names: any, or those of its entity tags. */
type Tags = '*' | string[]

export interface Precondition {
  ifMatch?: Tags
  ifNoneMatch?: Tags
}

const ENTITY_TAG = /(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/g
const STRONG_TAGS = /^\s*"[\x21\x23-\x7e\x80-\xff]*"(?:[\s,]+"[\x21\x23-\x7e\x80-\xff]*")*[\s,]*$/
const ANY_TAGS = new RegExp(STRONG_TAGS.source.replaceAll('"[', '(?:W/)?"['))

/**
 * If-Match and If-None-Match of a write. If-Match compares strongly, so a weak tag never matches.
 * Source: RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2.
 *
 * @throws {InvalidPrecondition} a tag is not quoted, or weak in If-Match
 */
export function precondition (headers: IncomingHttpHeaders): Precondition {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifMatch !== undefined && ifMatch.trim() !== '*' && !STRONG_TAGS.test(ifMatch)) {
    throw new InvalidPrecondition('If-Match must be * or strong entity tags, each in double quotes')
  }
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== '*' && !ANY_TAGS.test(ifNoneMatch)) {
    throw new InvalidPrecondition('If-None-Match must be * or entity tags, each in double quotes')
  }
  return { ifMatch: tags(ifMatch), ifNoneMatch: tags(ifNoneMatch) }
}

export const entityTag = (version: string) => `"${version}"`

/** Whether a write may replace `version`. */
export function allows ({ ifMatch, ifNoneMatch }: Precondition, version: string) {
  if (ifMatch !== undefined && !matches(ifMatch, version)) return false
  return ifNoneMatch === undefined || !matches(ifNoneMatch, version)
}

/** Whether the response to a read of `version` is 304. */
export function notModified ({ 'if-none-match': ifNoneMatch }: IncomingHttpHeaders, version: string) {
  return ifNoneMatch !== undefined && matches(tags(ifNoneMatch)!, version)
}

function matches (tags: Tags, version: string) {
  return tags === '*' || tags.includes(version)
}

function tags (header: string | undefined): Tags | undefined {
  if (header?.trim() === '*') return '*'
  return header === undefined ? undefined : [...header.matchAll(ENTITY_TAG)].map(([, tag]) => tag!)
}
