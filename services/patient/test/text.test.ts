import { test } from 'tap'
import { normalise } from '../text.ts'
import { ada, observation, patient } from './app.ts'

test('text is stored in NFC, trimmed, with single spaces; a search finds it in any form', async (t) => {
  const { call } = await patient(t)
  const sent = { ...ada, firstName: ' Zoe\u0308 \t Anne\n', lastName: 'Smith ' }
  const { id } = (await call('POST', '/patient', sent)).json()
  t.match((await call('GET', `/patient/${id}`)).json(), { firstName: 'Zoë Anne', lastName: 'Smith' })
  for (const criteria of [{ firstName: 'Zoe\u0308  Anne ' }, { lastName: ' Smith' }]) {
    t.match((await call('POST', '/patient/search', criteria)).json(), [{ id }])
  }
})

test('an optional property that is null or empty is left out; a patch removes it', async (t) => {
  const { call } = await patient(t)
  const optional = { lastName: null, fullName: '', insuranceNumber: '  ', title: null, identifiers: [] }
  const address = { city: 'Oslo', district: null, state: '' }
  const response = await call('POST', '/patient', { ...ada, ...optional, addresses: [address] })
  const { id, lastUpdated, ...stored } = response.json()
  const { lastName, ...rest } = ada
  t.strictSame(stored, { ...rest, identifiers: [], addresses: [{ city: 'Oslo' }] })

  await call('PATCH', `/patient/${id}`, { title: 'Dr', lastName: 'King' })
  const patched = (await call('PATCH', `/patient/${id}`, { title: '' })).json()
  t.match(patched, { title: undefined, lastName: 'King' })
  t.equal((await call('PATCH', `/patient/${id}`, { gender: '' })).statusCode, 400)
})

test('a required property or a criterion that is empty is refused', async (t) => {
  const { call } = await patient(t)
  const nameless = await call('POST', '/patient', { gender: 'female', firstName: ' ', lastName: null })
  t.match(nameless.json(), {
    status: 400, errors: [{ pointer: '#', message: 'must have firstName, lastName or fullName' }]
  })
  t.equal((await call('POST', '/patient', { ...ada, gender: null })).statusCode, 400)
  for (const lastName of [null, '', ' ']) {
    t.equal((await call('POST', '/patient/search', { lastName })).statusCode, 400)
  }
})

test('control characters are refused by the name of their property', async (t) => {
  const { call } = await patient(t)
  for (const control of ['\u0001', '\u001b', '\u007f', '\u0085', '\u009f']) {
    const response = await call('POST', '/patient', { ...ada, addresses: [{ city: `Os${control}lo` }] })
    const errors = [{ pointer: '#/addresses/0/city', message: 'must not have control characters' }]
    t.match(response.json(), { status: 400, errors }, JSON.stringify(control))
    t.notMatch(response.body, 'lo"')
  }
})

test('notes keep their lines', async (t) => {
  const { call } = await patient(t)
  const { id } = (await call('POST', '/patient', ada)).json()
  const note = 'first line\n\tsecond  line\r\nthird'
  const result = { observations: [{ ...observation, note: ` ${note}\n` }] }
  const { observations: [stored] } = (await call('POST', `/patient/${id}/tests`, result)).json()
  t.equal(stored.note, note)
})

test('a body of any depth is read', async (t) => {
  let body: object = {}
  for (let depth = 0; depth < 100_000; depth++) body = { a: body }
  t.equal(normalise(body, 'absent'), undefined)
})
