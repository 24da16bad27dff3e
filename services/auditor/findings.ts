/** A finding of a rule, as the register returns it. */
export interface Finding {
  id: string
  rule: string
  date: string
  actor?: string
  onBehalfOf?: string
  patientId?: string
  /** Ids of records, at most 100 of `count`. */
  records: string[]
  count: number
  state: FindingState
  history: Array<{
    state: FindingState
    by?: string
    onBehalfOf?: string
    date: string
    reason?: string
    auditId?: string
  }>
}

export const STATES = ['new', 'under-review', 'closed'] as const
export type FindingState = typeof STATES[number]

export interface Change {
  state: FindingState
  label: string
  /** Whether the register requires a reason. */
  needsReason: boolean
}

/** What a reviewer may do with a finding, by its state. */
export const CHANGES: Record<FindingState, Change> = {
  new: { state: 'under-review', label: 'Start the review', needsReason: false },
  'under-review': { state: 'closed', label: 'Close', needsReason: true },
  closed: { state: 'under-review', label: 'Reopen', needsReason: true }
}

export const ruleNames: Record<string, string> = {
  'unusual-volume': 'Unusual volume',
  'out-of-hours': 'Out of hours',
  'many-patients': 'Many patients in little time',
  'first-contact': 'First contact',
  'refused-then-succeeded': 'Refused, then succeeded',
  'watched-patient': 'Watched patient',
  'break-the-glass': 'Break the glass'
}
