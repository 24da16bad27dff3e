import type { FastifyRequest } from 'fastify'
import { pointerTo, type Path } from '#common/http/json-checks.ts'
import { invalidRequest } from '#common/http/problems.ts'
import { PatientCriteria } from './schemas/criteria.ts'

/** Text that may have several lines. Any other has single spaces between its words. */
const LINES = new Set(['text', 'note', 'conclusion', 'measurement', 'interpretation'])

const CONTROL = /\p{Cc}/u
const CONTROL_BUT_LINES = /(?![\t\n\r])\p{Cc}/u

/** No schema is nested deeper. */
const MAX_DEPTH = 16

/**
 * A hook that brings all text of a body into one form: Unicode NFC, without white space at its ends, with
 * single spaces between words. A property that is null or empty counts as left out; in a patch it is removed.
 * In a search it is refused, since the search would find more without it.
 *
 * @throws {InvalidRequest} text has control characters
 */
export async function normaliseText ({ body, method, routeOptions }: FastifyRequest) {
  const schema = routeOptions.schema?.body as object | undefined
  const empty = schema === PatientCriteria ? 'kept' : 'absent'
  const path = normalise(body, method === 'PATCH' ? 'null' : empty)
  if (path) throw invalidRequest(pointerTo(path, schema), 'must not have control characters')
}

/**
 * Normalises all text in `holder`, in place: the digits of numbers are known by the object that has them.
 *
 * @param empty what becomes of properties that are null or empty. Inside of a property they are left out,
 *   unless they are kept
 * @returns the path of text with control characters, if any
 */
export function normalise (holder: unknown, empty: 'absent' | 'null' | 'kept', depth = 0): Path | undefined {
  if (!isHolder(holder) || depth > MAX_DEPTH) return undefined
  for (const name of Object.keys(holder)) {
    const step = Array.isArray(holder) ? Number(name) : name
    if (typeof holder[name] === 'string') {
      const text = normaliseString(holder[name], LINES.has(name))
      if (text === undefined) return [step]
      holder[name] = text
    }
    const inner = holder[name]
    if ((inner === null || inner === '') && !Array.isArray(holder)) {
      if (empty === 'absent') delete holder[name]
      if (empty === 'null') holder[name] = null
    }
    const path = normalise(inner, empty === 'kept' ? 'kept' : 'absent', depth + 1)
    if (path) return [step, ...path]
  }
}

function isHolder (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The normalised text; undefined if it has control characters. */
function normaliseString (text: string, lines: boolean) {
  const trimmed = text.normalize('NFC').trim()
  if (lines) return CONTROL_BUT_LINES.test(trimmed) ? undefined : trimmed
  const spaced = trimmed.replace(/\s+/g, ' ')
  return CONTROL.test(spaced) ? undefined : spaced
}
