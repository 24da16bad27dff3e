const LIMIT = 8

/** How many items at the same time; `signal` ends the work after those that are worked on. */
interface Options {
  limit?: number
  signal?: AbortSignal
}

/**
 * Works on items, `limit` of them at a time. After one fails no other is begun; the running ones are awaited,
 * and then it is rejected with the first failure.
 *
 * @returns the results, in the order of their ends
 */
export async function inParallel<T, R> (
  items: Iterable<T>, work: (item: T) => Promise<R>, { limit = LIMIT, signal }: Options = {}
): Promise<R[]> {
  const rest = items[Symbol.iterator]()
  const results: R[] = []
  const failures: unknown[] = []
  const worker = async () => {
    while (failures.length === 0 && !signal?.aborted) {
      const next = rest.next()
      if (next.done) return
      await work(next.value).then((result) => results.push(result), (error) => failures.push(error))
    }
  }
  await Promise.all(Array.from({ length: limit }, worker))
  if (failures.length > 0) throw failures[0]
  return results
}
