import { test } from 'tap'
import { patientFilter } from '../search/filter.ts'
import { KeyMaker } from '../search/keys.ts'
import { ada, patient } from './app.ts'

const keys = new KeyMaker('GB')

test('a partial date of birth matches every range that it overlaps', async (t) => {
  const { app, call } = await patient(t)
  const dates = [
    '1979', '1979-12-31', '1980', '1980-01', '1980-01-01', '1980-01-02', '1980-02', '1980-02-01',
    '1980-02-15', '1980-12-31', '1981'
  ]
  for (const dateOfBirth of dates) await call('POST', '/patient', { ...ada, dateOfBirth })
  const found = async (dateOfBirthFrom?: string, dateOfBirthTo?: string) => {
    const filter = patientFilter({ dateOfBirthFrom, dateOfBirthTo }, keys, true)
    const documents = await app.database.collection('patients').find(filter).toArray()
    return dates.filter((date) => documents.some(({ dateOfBirth }) => dateOfBirth === date))
  }
  const firstDay = (date: string) => `${date}-01-01`.slice(0, 10)
  const lastDay = (date: string) => {
    if (date.length === 4) return `${date}-12-31`
    return date.length === 7 ? `${date}-31` : date
  }

  for (const from of [undefined, ...dates]) {
    for (const to of [undefined, ...dates]) {
      const isEmpty = from && to && firstDay(from) > lastDay(to)
      const expected = dates
        .filter((date) => !isEmpty && (!from || lastDay(date) >= firstDay(from)))
        .filter((date) => !to || firstDay(date) <= lastDay(to))
      t.same(await found(from, to), expected, `${from} to ${to}`)
    }
  }
})

test('each criterion finds what has its value, and nothing else', async (t) => {
  const { call } = await patient(t)
  const details = { ...ada, fullName: 'Countess', insuranceNumber: 'i-1', preferredContactNumber: 'p-1' }
  const { id } = (await call('POST', '/patient', details)).json()
  const { dateOfBirth, ...exact } = details
  for (const [name, value] of Object.entries({ id, ...exact })) {
    const found = async (value: string) => (await call('POST', '/patient/search', { [name]: value })).json()
    t.match(await found(value), [{ id }], name)
    let another = value.toUpperCase().replace(/.$/, 'X')
    if (name === 'gender') another = 'other'
    if (name === 'id') another = value.replace(/^./, (c: string) => c === '0' ? '1' : '0')
    t.same(await found(another), [], name)
  }
  t.match((await call('POST', '/patient/search', { id: id.toUpperCase() })).json(), [{ id }])
})

test('/patient/search has no other operation than the search', async (t) => {
  const { call } = await patient(t)
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE'] as const) {
    t.match((await call(method, '/patient/search')).json(), { status: 404, code: 'ROUTE_NOT_FOUND' }, method)
  }
})

test('If-None-Match: * on an existing patient is a 412', async (t) => {
  const { call } = await patient(t)
  const { headers: { location } } = await call('POST', '/patient', ada)
  for (const method of ['PUT', 'PATCH', 'DELETE'] as const) {
    const body = method === 'DELETE' ? undefined : ada
    const answer = await call(method, location as string, body, { 'if-none-match': '*' })
    t.match(answer.json(), { status: 412, code: 'PATIENT_EXISTS' }, method)
  }
})
