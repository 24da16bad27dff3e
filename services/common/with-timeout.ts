/** How long a request waits while its service starts (scale to zero); the gateway gives up after 60 s. */
export const STARTING_MS = 45_000

/**
 * Settles as `work` does, or rejects with `late()` after `ms`; the work then goes on unobserved.
 */
export function withTimeout<T> (ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.max(0, ms))
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
