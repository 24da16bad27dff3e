import type { TestDetails } from '../schemas/test-result.ts'

// A date or a time stands for the span of time that it leaves open, in UTC. Ends are texts that sort by time.

/** The first and the last instant of a date or a date and time, as it is in a body. */
export function spanOf (dateOrTime: string): [first: string, last: string] {
  if (dateOrTime.length > 10) {
    // JavaScript has no leap seconds
    const instant = new Date(dateOrTime.toUpperCase().replace(/:60(?=[.Z+-])/, ':59')).toISOString()
    return [instant, instant]
  }
  const first = `${dateOrTime}-01-01`.slice(0, 10)
  return [`${first}T00:00:00.000Z`, `${dateOrTime}${'-99'.repeat(2)}`.slice(0, 10) + 'T99']
}

export interface EffectiveKeys {
  /** The first instant at which the test result was true of the patient; empty if it is unknown. */
  _effective: string
  /** The last. */
  _effectiveTo: string
}

/** When a test result was true of the patient: by its own date, or else by those of its observations. */
export function effectiveKeys ({ effective, issued, observations = [] }: TestDetails): EffectiveKeys {
  const dates = effective !== undefined
    ? [effective]
    : observations.flatMap((observation) => observation.effective ?? observation.issued ?? [])
  if (dates.length === 0 && issued !== undefined) dates.push(issued)
  const spans = dates.map(spanOf)
  return {
    _effective: spans.map(([first]) => first).sort()[0] ?? '',
    _effectiveTo: spans.map(([, last]) => last).sort().at(-1) ?? ''
  }
}
