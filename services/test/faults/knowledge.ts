/** The state of what is not there, or no longer. */
export const ABSENT = 'absent'

/**
 * What one client knows of a patient or a test result that only it changes: the states that are allowed by
 * what was acknowledged.
 */
export class Known {
  readonly type: 'patient' | 'test'
  readonly id: string
  /** A name that stays, and that nothing else has. */
  readonly name: string
  /** Of a test result. */
  patientId: string | undefined
  /** The acknowledged state, and those of later writes that were not acknowledged. */
  possible: Set<string>
  /**
   * States of earlier unconditional writes that were not acknowledged: a write without an answer may take
   * effect at any later time.
   */
  late = new Set<string>()
  /** The current version, as far as it is known. */
  tag: string | undefined
  /** Every version that was acknowledged. */
  versions: string[]
  /** No longer used by its client: what happened to it last can take effect at any time, or it is gone. */
  retired = false

  constructor (
    type: 'patient' | 'test', id: string, name: string, state: string, tag: string, patientId?: string
  ) {
    this.type = type
    this.id = id
    this.name = name
    this.patientId = patientId
    this.possible = new Set([state])
    this.tag = tag
    this.versions = [tag]
  }

  get allowed () {
    return this.possible.union(this.late)
  }

  /** Whether a write with the tag may be refused: the version may be another one. */
  get mayHaveChanged () {
    return this.allowed.size > 1
  }

  acknowledged (state: string, tag: string) {
    this.possible = new Set([state])
    this.tag = tag
    this.versions.push(tag)
  }

  /** A write may or may not have been applied. */
  unanswered (state: string, conditional: boolean) {
    this.possible.add(state)
    if (!conditional) this.late.add(state)
  }

  /** A change of the place, or the end, was acknowledged. */
  became (next: (state: string) => string) {
    this.possible = new Set([...this.allowed].map(next))
    this.late.clear()
    this.tag = undefined
  }

  /** A change of the place, or the end, may or may not have been applied. */
  mayBecome (next: (state: string) => string) {
    for (const state of this.allowed) this.possible.add(next(state))
    this.retired = true
  }
}

/** The state of a test result: the patient that has it, and its content. */
export const testState = (patientId: string, value: string) => `${patientId}/${value}`

/** The state of a test result after its patient, or it alone, has changed from `from` to `to`. */
export const movedState = (from: string, to: string) => (state: string) =>
  state.startsWith(`${from}/`) ? `${to}/${state.slice(from.length + 1)}` : state

/** The state of a test result after the end of its patient. */
export const endedState = (patientId: string) => (state: string) =>
  state.startsWith(`${patientId}/`) ? ABSENT : state
