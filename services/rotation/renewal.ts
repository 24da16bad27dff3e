import { randomBytes } from 'node:crypto'

/** Why a secret is not rotated, in one line for whoever typed the command. */
export class RotationError extends Error {
  override name = 'RotationError'
}

/** How new values of a secret come about. Each step may be carried out twice without harm. */
export interface Renewal {
  /** A new value in the place of `value`. */
  renew (value: string): Promise<string>
  /**
   * Has the newest version's value work, and answers it; or, where that cannot be, one that does.
   * `alone` says that whoever came in by its user or key before must be out.
   */
  apply (value: string, alone: boolean): Promise<string>
  /** Ends all that the newest version's value does not open. */
  endOthers (newest: string): Promise<void>
}

// What is checked against the vault works and ends with its version
const checkedByVersion = { apply: async (value: string) => value, endOthers: async () => {} }

/** 256 bits at random. */
export const randomKey: Renewal = { renew: async () => random(), ...checkedByVersion }

/** A new key for each subscription of the local gateway. */
export const subscriptionKeys: Renewal = {
  async renew (keys) {
    const subscriptions = Object.entries<object>(JSON.parse(keys))
    return JSON.stringify(Object.fromEntries(subscriptions.map(([id, subscription]) => [id, { ...subscription, key: random() }])))
  },
  ...checkedByVersion
}

/** 256 bits in base64url. */
export function random () {
  return randomBytes(32).toString('base64url')
}
