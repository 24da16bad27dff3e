import type { Observation, TestDetails } from '../schemas/test-result.ts'

// Keys by which test results are sorted and found. They never leave the database.
// A date or a time stands for the span of time that it leaves open, in UTC.

export interface TestKeys {
  /** The first instant at which the test result was true of the patient, as text; empty if it is unknown. */
  _effective: string
  /** The last. */
  _effectiveTo: string
  /** The codes of the test result, its observations and their components: see `codesOf`. */
  _codes: string[]
  _categories: string[]
}

/** The first and the last instant of a date, or a date and time, as texts that sort by time. */
export function spanOf (dateOrTime: string): [first: string, last: string] {
  if (dateOrTime.length > 10) {
    // JavaScript has no leap seconds
    const instant = new Date(dateOrTime.toUpperCase().replace(/:60(?=[.Z+-])/, ':59')).toISOString()
    return [instant, instant]
  }
  const first = `${dateOrTime}-01-01`.slice(0, 10)
  return [`${first}T00:00:00.000Z`, `${`${dateOrTime}-99-99`.slice(0, 10)}T99`]
}

type Concept = Observation['code']

/** The ways to ask for a concept: its text, its code, and `system|code`, the same of its translations. */
export function codesOf (concept: Concept | undefined): string[] {
  if (concept === undefined) return []
  if (typeof concept === 'string') return [concept]
  return [concept, ...concept.translations ?? []].flatMap(({ system, code }) => {
    if (code === undefined) return []
    return system === undefined ? [code] : [code, `${system}|${code}`]
  })
}

export function testKeys ({ effective, issued, code, category, observations = [] }: TestDetails): TestKeys {
  const dates = effective !== undefined
    ? [effective]
    : observations.flatMap((observation) => observation.effective ?? observation.issued ?? [])
  if (dates.length === 0 && issued !== undefined) dates.push(issued)
  const spans = dates.map(spanOf)
  const coded = observations.flatMap((observation) => [observation, ...observation.components ?? []])
  return {
    _effective: spans.map(([first]) => first).sort()[0] ?? '',
    _effectiveTo: spans.map(([, last]) => last).sort().at(-1) ?? '',
    _codes: keysOf([code, ...coded.map(({ code }) => code)]),
    _categories: keysOf([category, ...observations.map(({ category }) => category)])
  }
}

const keysOf = (concepts: Array<Concept | undefined>) => [...new Set(concepts.flatMap(codesOf))]
