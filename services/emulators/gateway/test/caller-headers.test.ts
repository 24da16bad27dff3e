import t from 'tap'
import { purposesOfUse } from '#common/purpose-of-use.ts'
import { asClient, startGateway, startService, urlOf } from './gateway.ts'
import { documentOf } from './policies.ts'

const service = await startService(t)
const { call, pass } = await startGateway(t, urlOf(service))

t.test('well-formed headers of the caller go on as they came', async (t) => {
  const reason = Buffer.from('Zustand kritisch — Ærø 🚑').toString('latin1')
  for (const purpose of purposesOfUse) {
    const person = { 'x-on-behalf-of': 'urn:dr.1_@-' }
    const headers = { ...person, 'x-purpose-of-use': purpose, 'x-purpose-reason': reason }
    t.match((await pass('/patient/1', { headers })).headers, headers)
  }
  const { headers } = await pass('/patient/1')
  t.notOk(Object.keys(headers).some((name) => /behalf|purpose/.test(name)))
})

t.test('malformed ones are refused by their name, without their value', async (t) => {
  const malformed: Array<[name: string, ...values: string[]]> = [
    ['X-On-Behalf-Of', '', 'a secret', 'secret,secret', 'sécret', 'x'.repeat(129)],
    ['X-Purpose-Of-Use', '', 'secret', 'treat', 'TREATS', 'TREAT, TREAT', '|'],
    ['X-Purpose-Reason', '', 'secret', 'x'.repeat(801)]
  ]
  for (const [name, ...values] of malformed) {
    for (const value of values) {
      const sent = { ...asClient, [name]: value }
      const { statusCode, headers, text } = await call('/patient/1', { headers: sent })
      t.equal(statusCode, 400, `${name}: ${value}`)
      t.match(headers, { 'content-type': 'application/json; charset=utf-8' })
      t.match(JSON.parse(text), { statusCode: 400, message: new RegExp(`^${name} must be `) })
      t.notMatch(text, 'secret')
    }
  }
  const withoutKey = await call('/patient/1', { headers: { 'x-on-behalf-of': 'a secret' } })
  t.equal(withoutKey.statusCode, 401, 'the key is checked first')
})

t.test('a header that is sent twice names nobody', async (t) => {
  const headers = [...Object.entries(asClient).flat(), 'X-On-Behalf-Of', 'a', 'X-On-Behalf-Of', 'b']
  t.equal((await call('/patient/1', { headers })).statusCode, 400)
})

t.test('a product can require each of the headers', async (t) => {
  for (const [setting, name, value] of [
    ['REQUIRE_ON_BEHALF_OF', 'X-On-Behalf-Of', 'dr-1'],
    ['REQUIRE_PURPOSE_OF_USE', 'X-Purpose-Of-Use', 'TREAT']
  ] as const) {
    const { call } = await startGateway(t, urlOf(service), { [setting]: 'true' })
    const refused = await call('/patient/1', { headers: asClient })
    t.equal(refused.statusCode, 400)
    t.strictSame(refused.json(), { statusCode: 400, message: `${name} is required` })
    t.equal((await call('/patient/1', { headers: { ...asClient, [name]: value } })).statusCode, 200)
  }
})

t.test('the policies need no characters that XML escapes', async (t) => {
  const [, block] = /On whose behalf[^]*?-->([^]*?)<!--/.exec(documentOf('global'))!
  t.match(block, 'X-Purpose-Reason')
  for (const [, expression] of block!.matchAll(/'@\((.*)\)'/g)) t.notMatch(expression, /[&<>]/)
})
