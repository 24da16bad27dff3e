import { hash } from 'node:crypto'

/** What the witness remembers of one log. */
export interface LogState {
  origin: string
  /** The size of the latest tree that it cosigned, and its root in base64. */
  size: number
  root: string
  /** The checkpoint with the signatures of the log; empty before the first. */
  checkpoint: string
  /** The public keys of the log, each but the first signed by one before it. */
  keys: string[]
}

export interface Stored {
  state: LogState
  /** Changes with each change of the state. */
  version: string
}

/** Stores the state of each log, and every checkpoint that was cosigned. */
export interface Store {
  /** @throws {StoreUnavailable} */
  read (origin: string): Promise<Stored | undefined>
  /**
   * Stores `state` if `version` is the latest one (undefined: if there is none), in one step and durably.
   *
   * @returns false if it is not the latest, and nothing was stored
   * @throws {StoreUnavailable} it is not known whether the state is stored
   */
  replace (state: LogState, version: string | undefined): Promise<boolean>
  /**
   * Stores the checkpoint of `state` where nobody can change it.
   *
   * @returns the checkpoint that is stored for this size: another one if there was one before
   * @throws {StoreUnavailable}
   */
  keep (state: LogState): Promise<string>
}

/** The name of everything that belongs to a log. */
export const folderOf = (origin: string) => hash('sha256', origin)

/** Names in the order of sizes. */
export const nameOf = (size: number) => String(size).padStart(16, '0')
