import { test } from 'tap'
import type { FastifyRequest } from 'fastify'
import { traceHeaders, traceId } from '../telemetry/trace.ts'

const id = '0af7651916cd43dd8448eb211c80319c'

test('the trace of the caller is taken up', async (t) => {
  t.equal(traceId({ traceparent: `00-${id}-b7ad6b7169203331-01` }), id)
  t.equal(traceId({ traceparent: `cc-${id}-b7ad6b7169203331-01-what-comes-later` }), id)
})

test('a missing or malformed one starts a new trace', async (t) => {
  for (const traceparent of [
    undefined,
    '',
    `ff-${id}-b7ad6b7169203331-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `00-${id.toUpperCase()}-b7ad6b7169203331-01`,
    `00-${id}-b7ad6b7169203331-01-more`
  ]) {
    const started = traceId({ traceparent })
    t.match(started, /^[0-9a-f]{32}$/)
    t.not(started, id)
  }
})

test('a call to another service carries the trace with a span of its own', async (t) => {
  const headers = { traceparent: `00-${id}-b7ad6b7169203331-00`, tracestate: 'a=1' }
  const passed = traceHeaders({ id, headers } as unknown as FastifyRequest)
  t.match(passed.traceparent, new RegExp(`^00-${id}-[0-9a-f]{16}-00$`))
  t.not(passed.traceparent, headers.traceparent)
  t.equal(passed.tracestate, 'a=1')
})
