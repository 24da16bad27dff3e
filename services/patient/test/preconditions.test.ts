import { test } from 'tap'
import { allows, notModified, precondition } from '../preconditions.ts'

test('If-Match allows the versions it names, compared strongly', async (t) => {
  const writes = (ifMatch: string) => allows(precondition({ 'if-match': ifMatch }), 'v1')
  for (const header of ['"v1"', '*', '"v0", "v1"', 'W/"v1","v1"']) t.ok(writes(header), header)
  for (const header of ['"v2"', 'W/"v1"', '', 'v1', '"v1', '"V1"']) t.notOk(writes(header), header)
  t.ok(allows(precondition({}), 'v1'))
})

test('If-None-Match forbids a write of the versions it names', async (t) => {
  const writes = (ifNoneMatch: string) => allows(precondition({ 'if-none-match': ifNoneMatch }), 'v1')
  for (const header of ['"v1"', '*', 'W/"v1"']) t.notOk(writes(header), header)
  t.ok(writes('"v2"'))
})

test('If-None-Match spares a read of the versions it names, compared weakly', async (t) => {
  const spared = (ifNoneMatch: string) => notModified(precondition({ 'if-none-match': ifNoneMatch }), 'v1')
  for (const header of ['"v1"', '*', 'W/"v1"', '"v0" , "v1"']) t.ok(spared(header), header)
  for (const header of ['"v2"', 'v1', '']) t.notOk(spared(header), header)
  t.notOk(notModified(precondition({}), 'v1'))
})
