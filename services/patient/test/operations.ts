import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const PATIENT = join(import.meta.dirname, '..')

/** The operations that the patient service records, as its sources have them. */
export function recordedOperations () {
  const files = globSync(['routes/*.ts', 'search/*.ts'], { cwd: PATIENT })
  const sources = files.map((file) => readFileSync(join(PATIENT, file), 'utf8'))
  const found = sources.flatMap((source) => [...source.matchAll(/operation: '([\w-]+)'/g)])
  return [...new Set(found.map(([, name]) => name!))]
}
