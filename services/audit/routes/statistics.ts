import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { invalidQuery } from '../errors.ts'
import type { LogStore } from '../log/store.ts'
import type { Review } from '../review/review.ts'
import { countedUntil, INTERVALS, statisticsOf } from '../review/statistics.ts'
import { problems, rangeOf, requireRange, responses } from './queries.ts'
import type { RecordQuestion } from './questions.ts'
import { Statistics, StatisticsSearch } from './schemas.ts'

/** More rows are of no use to a reader, who can narrow the question. */
const MAX_ROWS = 100_000

interface StatisticsParts {
  store: LogStore
  review: Review
  record: RecordQuestion
  /** The longest range of dates that a question may have. */
  maxDays: number
}

/** The route that counts records. The question is recorded before anything is read. */
export const statisticsRoutes: FastifyPluginAsyncTypebox<StatisticsParts> = async (app, parts) => {
  const { store, review, record, maxDays } = parts

  app.get('/audit/statistics', {
    schema: {
      operationId: 'load-statistics',
      summary: 'Count audit records',
      description: 'Returns how many records there are by hour or day (UTC), actor, type, operation and ' +
        'outcome. Rows without a record are left out.',
      querystring: StatisticsSearch,
      response: responses(Statistics),
      problems
    },
    async handler (request) {
      const { by, ...criteria } = request.query
      const range = rangeOf(criteria)
      requireRange(range, maxDays)
      await record(request, { operation: 'statistics', criteria: Object.keys(criteria) })
      const length = INTERVALS[by as keyof typeof INTERVALS]
      const from = Math.floor(range.from! / length) * length
      const to = Math.ceil(range.to! / length) * length
      // Before the counters, which may have more
      const until = await countedUntil(store, review.position)
      const query = { ...criteria, by: by as keyof typeof INTERVALS, from, to }
      const rows = await statisticsOf(review.counters, query, MAX_ROWS)
      if (rows.length > MAX_ROWS) throw invalidQuery('to', `must not lead to more than ${MAX_ROWS} rows`)
      return { from: new Date(from).toISOString(), to: new Date(to).toISOString(), by, until, rows }
    }
  })
}
