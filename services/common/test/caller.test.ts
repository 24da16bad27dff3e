import { test } from 'tap'
import { callerOf } from '../http/caller.ts'
import { purposesOfUse } from '../purpose-of-use.ts'

const latin1 = (text: string) => Buffer.from(text).toString('latin1')

test('a request without the headers names no caller', async (t) => {
  t.strictSame(callerOf({ 'x-audit-actor': 'a-system' }), {})
})

test('the headers name a person and a purpose', async (t) => {
  for (const onBehalfOf of ['7', 'urn:oid:1.2.3', 'dr_who@clinic-1.example', 'x'.repeat(128)]) {
    t.match(callerOf({ 'x-on-behalf-of': onBehalfOf }), { onBehalfOf, purpose: undefined, reason: undefined })
  }
  const reason = 'Zustand verschlechtert sich — Ærø 🚑'
  for (const purpose of purposesOfUse) {
    const headers = { 'x-purpose-of-use': purpose, 'x-purpose-reason': latin1(reason) }
    t.match(callerOf(headers), { purpose, reason })
  }
})

test('the purposes are those of HL7 v3 in FHIR R4, each once', async (t) => {
  t.equal(purposesOfUse.length, 59)
  t.equal(new Set(purposesOfUse).size, 59)
})

test('malformed headers are refused by their name, without their value', async (t) => {
  const treat = { 'x-purpose-of-use': 'TREAT' }
  const cases: Array<[object, RegExp]> = [
    ...['', 'a b', 'a,b', 'a/b', 'ä', 'x'.repeat(129), 'secret\n'].map((value) =>
      [{ 'x-on-behalf-of': value }, /^X-On-Behalf-Of must/] as [object, RegExp]),
    ...['', 'treat', 'secret', 'TREAT, TREAT', 'PurposeOfUse', 'constructor'].map((value) =>
      [{ 'x-purpose-of-use': value }, /^X-Purpose-Of-Use must/] as [object, RegExp]),
    ...['', 'too short', 'x'.repeat(201), '🚑'.repeat(9), 'with a \u0007 bell'].map((value) =>
      [{ ...treat, 'x-purpose-reason': latin1(value) }, /^X-Purpose-Reason must/] as [object, RegExp]),
    [{ ...treat, 'x-purpose-reason': 'no UTF-8 \xe9 secret' }, /^X-Purpose-Reason must/],
    [{ 'x-purpose-reason': 'a reason without purpose' }, /^X-Purpose-Reason needs/],
    [{ 'x-purpose-of-use': 'ETREAT' }, /^X-Purpose-Of-Use needs/],
    [{ 'x-purpose-of-use': 'BTG' }, /^X-Purpose-Of-Use needs/]
  ]
  for (const [headers, message] of cases) {
    t.throws(() => callerOf({ ...headers }), { statusCode: 400, code: 'INVALID_CALLER', message })
    t.throws(() => callerOf({ ...headers }), { message: /^((?!secret).)*$/ })
  }
})

test('a reason has 10 to 200 characters, however many bytes', async (t) => {
  for (const reason of ['x'.repeat(10), 'x'.repeat(200), '🚑'.repeat(10), 'é'.repeat(200)]) {
    const headers = { 'x-purpose-of-use': 'ERTREAT', 'x-purpose-reason': latin1(reason) }
    t.equal(callerOf(headers).reason, reason)
  }
})
