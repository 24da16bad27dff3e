import { readdirSync } from 'node:fs'
import t from 'tap'
import { shareSystem } from './api.ts'

/** The test files of this folder by the system that they need. Those of a group run on it in this order. */
export const groups = {
  /** The first expects no patients; the last two end processes, and wait until they run again. */
  plain: [
    'search', 'gateway', 'audit', 'patients', 'test-results', 'malformed', 'concurrency', 'large-pages',
    'cursors', 'caller', 'register'
  ],
  /** With a proxy before the database. */
  wired: ['idempotency', 'deletion', 'commands', 'life'],
  failing: ['database-failures', 'outages']
}

/**
 * Runs the test files of a group one after another in this process, on one system.
 *
 * Each may also be run by itself, on a system of its own.
 */
export async function runTogether (group: keyof typeof groups) {
  await shareSystem(async () => {
    for (const name of groups[group]) {
      await import(`./${name}.test.ts`)
      // Tests run in the order in which they were added, so that this one ends after those of the file
      await t.test(`${name}.test.ts ends`, async () => {})
    }
  })
}

/** A file that is in no group would never run. */
export function filesInNoGroup () {
  const known = Object.values(groups).flat().map((name) => `${name}.test.ts`)
  return readdirSync(import.meta.dirname).filter((file) => file.endsWith('.test.ts') && !known.includes(file))
}
