import pino from 'pino'
import type { Test } from 'tap'
import { loggerOptions } from '../telemetry/logger.ts'
import { Secret, type Clock, type StoredVersion } from '../secrets/secrets.ts'

/** A vault of one secret that tests change, which counts the reads of the newest version, and its reader. */
export function vault (t: Test, clock?: Clock) {
  const versions = new Map<string, StoredVersion>()
  const lines: string[] = []
  let newest: string | undefined
  const state = { isUnavailable: false, reads: 0, reading: async () => {} }

  const read = async (id?: string) => {
    if (id === undefined) state.reads++
    const version = versions.get(id ?? newest ?? '')
    await state.reading()
    if (state.isUnavailable || !version) throw new Error('unavailable')
    return { ...version }
  }

  return {
    state,
    logs: () => lines.join(''),

    /** Adds a version that supersedes the newest. */
    add (id: string, more: Partial<StoredVersion> = {}) {
      const version = { id, value: `value-of-${id}`, enabled: true, createdOn: new Date(), previous: newest }
      versions.set(id, { ...version, ...more })
      newest = id
    },

    change (id: string, more: Partial<StoredVersion>) {
      versions.set(id, { ...versions.get(id)!, ...more })
    },

    reader<T>(
      derive: (value: string) => T, refreshSeconds = 3_600, isRotated?: (value: T) => boolean
    ) {
      const log = pino(loggerOptions('test', 'trace'), { write: (line: string) => { lines.push(line) } })
      const options = {
        name: 'a-secret', read, derive, refreshSeconds, rotationDays: 90, isRotated, log, clock
      }
      const secret = new Secret<T>(options)
      t.teardown(() => secret.close())
      return secret
    }
  }
}

export const inMs = (ms: number) => new Date(Date.now() + ms)
