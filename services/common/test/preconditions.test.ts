import { test } from 'tap'
import { allows, notModified, precondition } from '../http/preconditions.ts'

test('If-Match allows the versions it names, compared strongly', async (t) => {
  const writes = (ifMatch: string) => allows(precondition({ 'if-match': ifMatch }), 'v1')
  for (const header of ['"v1"', '*', '"v0", "v1"', '"v0" ,"v1",']) t.ok(writes(header), header)
  for (const header of ['"v2"', '"V1"']) t.notOk(writes(header), header)
  t.ok(allows(precondition({}), 'v1'))
})

test('If-Match with a weak or an unquoted tag is refused, and says what is wrong', async (t) => {
  for (const header of ['W/"v1"', 'W/"v1","v1"', '"v1", W/"v2"', '', 'v1', '"v1', '"v1", v2', '*, "v1"']) {
    const expected = { statusCode: 400, code: 'INVALID_PRECONDITION', message: /^If-Match/ }
    t.throws(() => precondition({ 'if-match': header }), expected, header)
  }
})

test('If-None-Match forbids a write of the versions it names', async (t) => {
  const writes = (ifNoneMatch: string) => allows(precondition({ 'if-none-match': ifNoneMatch }), 'v1')
  for (const header of ['"v1"', '*', 'W/"v1"', '"v0", W/"v1"']) t.notOk(writes(header), header)
  t.ok(writes('"v2"'))
  for (const header of ['', 'v1', '"v1', 'w/"v1"']) {
    const expected = { code: 'INVALID_PRECONDITION', message: /^If-None-Match/ }
    t.throws(() => precondition({ 'if-none-match': header }), expected, header)
  }
})

test('If-None-Match spares a read of the versions it names, compared weakly', async (t) => {
  const spared = (ifNoneMatch: string) => notModified({ 'if-none-match': ifNoneMatch }, 'v1')
  for (const header of ['"v1"', '*', 'W/"v1"', '"v0" , "v1"']) t.ok(spared(header), header)
  for (const header of ['"v2"', 'v1', '']) t.notOk(spared(header), header)
  t.notOk(notModified({}, 'v1'))
})
