import pino from 'pino'
import type { Test } from 'tap'
import { loggerOptions } from '../telemetry/logger.ts'
import { Secret, type Clock, type StoredVersion } from '../secrets/secrets.ts'

/** A vault of one secret that tests change, which counts the reads of the newest version, and its reader. */
export function vault (t: Test, clock?: Clock) {
  const versions = new Map<string, StoredVersion>()
  const lines: string[] = []
  let newest: string | undefined
  const state = { away: false, looks: 0, reading: async () => {} }

  const read = async (id?: string) => {
    if (id === undefined) state.looks++
    const version = versions.get(id ?? newest ?? '')
    await state.reading()
    if (state.away || !version) throw new Error('away')
    return { ...version }
  }

  return {
    state,
    logs: () => lines.join(''),

    /** Adds a version that supersedes the newest. */
    add (id: string, more: Partial<StoredVersion> = {}) {
      versions.set(id, {
        id,
        value: `value-of-${id}`,
        enabled: true,
        createdOn: new Date(),
        previous: newest,
        ...more
      })
      newest = id
    },

    change (id: string, more: Partial<StoredVersion>) {
      versions.set(id, { ...versions.get(id)!, ...more })
    },

    reader<T>(use: (value: string) => T, refreshSeconds = 3_600) {
      const log = pino(loggerOptions('test', 'trace'), {
        write: (line: string) => {
          lines.push(line)
        }
      })
      const secret = new Secret<T>({
        name: 'a-secret',
        read,
        derive: use,
        refreshSeconds,
        rotationDays: 90,
        log,
        clock
      })
      t.teardown(() => secret.close())
      return secret
    }
  }
}

export const inMs = (ms: number) => new Date(Date.now() + ms)
