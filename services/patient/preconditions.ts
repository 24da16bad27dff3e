import type { IncomingHttpHeaders } from 'node:http'

/** The versions that a conditional request is about: any, or those of its entity tags. */
type Tags = '*' | string[]

export interface Precondition {
  ifMatch?: Tags
  ifNoneMatch?: Tags
}

const ENTITY_TAG = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/g

/**
 * If-Match and If-None-Match of a request. If-Match compares strongly, so weak tags match nothing there.
 * Source: RFC 9110, sections 13.1.1 and 13.1.2.
 */
export function precondition (headers: IncomingHttpHeaders): Precondition {
  return {
    ifMatch: tags(headers['if-match'], (weak) => !weak),
    ifNoneMatch: tags(headers['if-none-match'], () => true)
  }
}

export const entityTag = (version: string) => `"${version}"`

/** Whether a write may replace `version`. */
export function allows ({ ifMatch, ifNoneMatch }: Precondition, version: string) {
  return (ifMatch === undefined || matches(ifMatch, version)) && (ifNoneMatch === undefined || !matches(ifNoneMatch, version))
}

/** Whether a read of `version` is answered 304. */
export function notModified ({ ifNoneMatch }: Precondition, version: string) {
  return ifNoneMatch !== undefined && matches(ifNoneMatch, version)
}

function matches (tags: Tags, version: string) {
  return tags === '*' || tags.includes(version)
}

function tags (header: string | undefined, counts: (weak: boolean) => boolean): Tags | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return '*'
  return [...header.matchAll(ENTITY_TAG)].filter(([, weak]) => counts(weak !== undefined)).map(([, , tag]) => tag!)
}
