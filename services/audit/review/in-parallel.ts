const MAX_PARALLEL = 8

/** Calls `work` for each item, for at most 8 of them at the same time. Rejected with the first failure. */
export async function inParallel<T> (items: Iterable<T>, work: (item: T) => Promise<void>) {
  const rest = items[Symbol.iterator]()
  const worker = async () => {
    for (let next; !(next = rest.next()).done;) await work(next.value)
  }
  await Promise.all(Array.from({ length: MAX_PARALLEL }, worker))
}
