import type { FastifyRequest } from 'fastify'
import { exactNumbersOf } from '#common/http/json-body.ts'
import { invalid } from './errors.ts'

/** The digits of an object's numbers, by their names, where JavaScript does not keep them: 7.20. */
interface WithDigits {
  _digits?: Record<string, string>
}

const MAX_DIGITS = 64

// TypeScript does not know it yet
const raw = JSON as typeof JSON & { rawJSON (text: string): unknown }

/**
 * A hook that adds the digits of a body's numbers to the objects that have them, so that they are stored.
 *
 * @throws {InvalidRequest} a number has more digits than are stored
 */
export async function keepDigits ({ body }: FastifyRequest) {
  if (typeof body !== 'object' || body === null) return
  for (const { holder, name, digits } of exactNumbersOf(body)) {
    if (digits.length > MAX_DIGITS) {
      throw invalid('', `must not have a ${name} of more than ${MAX_DIGITS} characters`)
    }
    const object: WithDigits = holder
    object._digits = { ...object._digits, [name]: digits }
  }
}

/**
 * A copy of what is stored, for JSON: numbers have the digits that they were sent with, and properties that
 * begin with `_` are left out.
 */
export function exposed (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(exposed)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  const copy: Record<string, unknown> = {}
  const { _digits = {} } = value as WithDigits
  for (const [name, inner] of Object.entries(value)) if (!name.startsWith('_')) copy[name] = exposed(inner)
  for (const [name, digits] of Object.entries(_digits)) copy[name] = raw.rawJSON(digits)
  return copy
}
