const TOTAL_BYTES = 128 * 2 ** 20

/** Replies of a database have up to 16 MiB, documents about 1 MiB. */
const REPLY_BYTES = 16 * 2 ** 20
const DOCUMENT_BYTES = 2 ** 20

/** Limits the memory of all pages of a process, from their read until their response is sent. */
export class PageMemory {
  #free = TOTAL_BYTES
  #waiting: Array<{ bytes: number, resolve: () => void }> = []

  /** Calls `read` once there is memory for `count` documents. The page is held until `sent` is fulfilled. */
  async hold<T extends { bytes: number }> (count: number, sent: Promise<unknown>, read: () => Promise<T>) {
    const reserved = Math.min(REPLY_BYTES, count * DOCUMENT_BYTES)
    await this.#take(reserved)
    let kept = 0
    try {
      const page = await read()
      kept = page.bytes
      return page
    } finally {
      this.#release(reserved - kept)
      sent.finally(() => this.#release(kept))
    }
  }

  async #take (bytes: number) {
    if (this.#waiting.length > 0 || bytes > this.#free) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.push({ bytes, resolve })
      return promise
    }
    this.#free -= bytes
  }

  #release (bytes: number) {
    this.#free += bytes
    while (this.#waiting.length > 0 && this.#waiting[0]!.bytes <= this.#free) {
      const { bytes, resolve } = this.#waiting.shift()!
      this.#free -= bytes
      resolve()
    }
  }
}
