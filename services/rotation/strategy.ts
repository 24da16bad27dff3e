import { randomBytes } from 'node:crypto'

/** Why a secret is not rotated, in one line for the user of the command. */
export class RotationError extends Error {
  override name = 'RotationError'
}

/** There is nothing to rotate, which is no failure. */
export class NothingToRotate extends RotationError {}

/** How a kind of secret is rotated. Each step can be repeated after an interruption. */
export interface RotationStrategy {
  /** Makes the value that replaces `value`. */
  createValue(value: string): Promise<string>
  /**
   * Makes the value of the newest version work where it is checked, and returns it; or returns another value
   * that works, if this one cannot. `revoke` ends all sessions of its user.
   */
  activate(value: string, revoke: boolean): Promise<string>
  /** Revokes every other value than that of the newest version. */
  revokeOthers(newest: string): Promise<void>
}

// Services check these values against the vault, so a version's own state decides
const checkedByVersion = { activate: async (value: string) => value, revokeOthers: async () => {} }

/** A new random key. */
export const randomKey: RotationStrategy = { createValue: async () => randomSecret(), ...checkedByVersion }

/** A new key for each subscription of the local gateway. */
export const subscriptionKeys: RotationStrategy = {
  async createValue (keys) {
    const subscriptions = Object.entries<object>(JSON.parse(keys))
    return JSON.stringify(Object.fromEntries(subscriptions.map(([id, subscription]) =>
      [id, { ...subscription, key: randomSecret() }])))
  },
  ...checkedByVersion
}

/** 256 random bits in base64url. */
export function randomSecret () {
  return randomBytes(32).toString('base64url')
}
