import { unlessThere } from '#common/database-errors.ts'
import { announceChain, spanOf } from '../chain.ts'
import type { LogStore } from './store.ts'

/**
 * Announces the chains of blocks that were stored before there was a log, and adds the dates by which queries
 * find blocks. Can be repeated. Records stay as they are.
 *
 * @returns how many chains were announced
 */
export async function adoptUnlinked (store: LogStore) {
  let announced = 0
  let first = await store.firstBlockAfter('')
  for (; first; first = await store.firstBlockAfter(first.chain)) {
    if (first.previous) continue
    const { chain, records } = first
    for await (const block of store.blocksFrom(chain, 1)) {
      if (!block.from && block.records.length > 0) await store.setDates(block, spanOf(block.records))
    }
    if (await unlessThere(announceChain(store.database, chain, records[0]?.createdDate))) announced++
  }
  return announced
}
