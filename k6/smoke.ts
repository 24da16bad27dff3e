import type { Options } from 'k6/options'
import { cleanUp, mix, reach, sealed, type Run } from './lib/mix.ts'
import { changeAndDelete, store } from './lib/operations.ts'

// One client runs every operation

export const options: Options = {
  vus: 1,
  iterations: 3,
  thresholds: { checks: ['rate==1'], http_req_failed: ['rate==0'] }
}

export { cleanUp as teardown, reach as setup }

export default function ({ lastName }: Run) {
  const own = store(lastName)
  if (!own) return
  for (const { usual, tenth } of [...mix, ...sealed]) {
    usual(own)
    tenth?.(own)
  }
  changeAndDelete(own)
}
