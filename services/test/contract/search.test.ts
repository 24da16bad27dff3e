import { test } from 'tap'
import {
  dateOfBirth, inParallel, isProblem, newPatient, secret, secretNumber, startApi, testLogs, unknownId
} from './api.ts'

const api = await startApi()
const ids = (patients: Array<{ id: string }>) => patients.map(({ id }) => id).sort()

test('a search that finds nothing is 200 with an empty array', async (t) => {
  for (const criteria of [{}, { firstName: secret() }, { id: unknownId() }]) {
    const { status, headers, body } = await api.search(criteria)
    t.equal(status, 200)
    t.equal(headers['content-type'], 'application/json; charset=utf-8')
    t.strictSame(body, [])
    t.notOk(headers.link)
  }
})

test('each criterion finds the patients that match it, in any case', async (t) => {
  const { patient } = await api.create({ dateOfBirth: '1970-05-06' })
  await api.create()
  const criteria: Record<string, string> = {
    id: patient.id,
    firstName: patient.firstName,
    lastName: patient.lastName,
    fullName: patient.fullName,
    insuranceNumber: patient.insuranceNumber,
    preferredContactNumber: patient.preferredContactNumber
  }
  for (const [name, value] of Object.entries(criteria)) {
    t.strictSame((await api.search({ [name]: value })).body, [patient], name)
    if (name === 'id') continue
    for (const same of [value.toUpperCase(), ` ${value} `]) {
      t.strictSame((await api.search({ [name]: same })).body, [patient], name)
    }
    if (value !== value.toUpperCase()) {
      t.strictSame((await api.search({ [name]: value.toUpperCase(), match: 'exact' })).body, [], name)
    }
    const others = [value.slice(1), value.slice(0, -1), '.*', value.replace(/./, '.')]
    for (const near of others.filter((other) => other !== value)) {
      t.strictSame((await api.search({ [name]: near })).body, [], name)
    }
  }
  const { gender, postCode } = patient
  const all = { ...criteria, gender, postCode, dateOfBirthFrom: '1970', dateOfBirthTo: '1970' }
  t.strictSame((await api.search(all)).body, [patient])
  t.strictSame((await api.search({ ...criteria, firstName: secret() })).body, [])
})

test('gender and postCode find every patient of theirs', async (t) => {
  const insuranceNumber = secret()
  const stored: any[] = []
  for (const gender of ['male', 'female', 'other', 'unknown']) {
    for (const postCode of ['AAAA', 'aaaa', 'BB B']) {
      stored.push((await api.create({ gender, postCode, insuranceNumber })).patient)
    }
  }
  for (const { gender, postCode } of stored) {
    const of = (criteria: object) => api.search({ insuranceNumber, ...criteria })
    const having = (name: string, value: string) => ids(stored.filter((patient) => patient[name] === value))
    t.strictSame(ids((await of({ gender })).body), having('gender', gender))
    t.strictSame(ids((await of({ postCode, match: 'exact' })).body), having('postCode', postCode))
    t.equal((await of({ gender, postCode, match: 'exact' })).body.length, 1)
    t.equal((await of({ postCode })).body.length, postCode === 'BB B' ? 4 : 8)
  }
  t.ok((await api.search({ gender: 'male' })).body.length >= 3)
})

test('{} finds all', async (t) => {
  const count = await api.patientDb.collection('patients').countDocuments({ _deleted: null })
  t.equal((await api.search({})).body.length, count)
})

test('a range of dates of birth has the patients whose dates overlap it, bounds included', async (t) => {
  const insuranceNumber = secret()
  const dates = [
    '1979', '1979-12', '1979-12-31', '1980', '1980-01', '1980-01-01', '1980-01-02', '1980-02', '1980-02-01',
    '1980-02-29', '1980-06', '1980-06-15', '1980-12', '1980-12-01', '1980-12-31', '1981', '1981-01',
    '1981-01-01', '1981-06-01', '1850'
  ]
  const stored = await Promise.all(dates.map(async (dateOfBirth) => {
    return (await api.create({ dateOfBirth, insuranceNumber })).patient
  }))
  const firstDay = (date: string) => `${date}-01-01`.slice(0, 10)
  const lastDay = (date: string) => {
    if (date.length === 4) return `${date}-12-31`
    return date.length === 7 ? `${date}-31` : date
  }
  const bounds = [
    undefined, '1979-12', '1980', '1980-01', '1980-01-01', '1980-01-02', '1980-02-01', '1980-02-02',
    '1980-12', '1980-12-31', '1981', '0001', '9999'
  ]
  for (const dateOfBirthFrom of bounds) {
    const searches = bounds.map(async (dateOfBirthTo) => {
      const { body } = await api.search({ insuranceNumber, dateOfBirthFrom, dateOfBirthTo })
      const isEmpty = dateOfBirthFrom && dateOfBirthTo && firstDay(dateOfBirthFrom) > lastDay(dateOfBirthTo)
      const expected = stored
        .filter(({ dateOfBirth: date }) => !dateOfBirthFrom || lastDay(date) >= firstDay(dateOfBirthFrom))
        .filter(({ dateOfBirth: date }) => !dateOfBirthTo || firstDay(date) <= lastDay(dateOfBirthTo))
      t.strictSame(ids(body), isEmpty ? [] : ids(expected), `${dateOfBirthFrom} to ${dateOfBirthTo}`)
    })
    await Promise.all(searches)
  }
})

test('criteria obey the rules of the patient\'s properties', async (t) => {
  const wrong: object[] = [
    { id: 'nobody' }, { id: secretNumber() }, { firstName: '' }, { firstName: 'x'.repeat(257) },
    { lastName: 'x'.repeat(257) }, { fullName: 'x'.repeat(257) }, { gender: 'm' }, { postCode: ' ' },
    { postCode: '1'.repeat(17) }, { dateOfBirthFrom: '2023-02-29' }, { dateOfBirthTo: '1980-13' },
    { dateOfBirthFrom: 1980 }, { dateOfBirth: '1980' }, { insuranceNumber: '' }, { insuranceNumber: null },
    { preferredContactNumber: secretNumber() }, { lastName: { $gt: '' } }, { lastName: { $ne: null } },
    { lastName: ['a'] }, { lastUpdated: new Date().toISOString() }, { [secret()]: secret() }, { $where: '1' },
    { $or: [{}] }, { _id: unknownId() }, { _deleted: null }
  ]
  for (const criteria of wrong) {
    const answer = await api.search(criteria)
    isProblem(t, answer, 400, 'INVALID_REQUEST')
    const [property] = Object.keys(criteria)
    const pointer = answer.body.errors?.[0].pointer
    t.match(pointer, ['#', `#/${property}`].includes(pointer) ? /^#/ : property)
  }
})

test('limit, sort and cursor obey their rules', async (t) => {
  const wrong = [
    'limit=0', 'limit=201', 'limit=-1', 'limit=1.5', 'limit=x', 'limit=', 'limit=1&limit=2', 'sort=',
    'sort=firstName', 'sort=--id', 'sort=_id', 'sort=ID', 'sort=id&sort=id', 'cursor=', 'cursor=x',
    'cursor=&cursor=',
    `${secret()}=1`, 'limit[$gt]=1', 'offset=1'
  ]
  for (const query of wrong) isProblem(t, await api.search({}, `?${query}`), 400)
  const right = [
    'limit=1', 'limit=200', 'sort=id', 'sort=-id', 'sort=lastName', 'sort=-lastName', 'sort=dateOfBirth',
    'sort=-dateOfBirth', 'sort=lastUpdated', 'sort=-lastUpdated'
  ]
  for (const query of right) {
    t.equal((await api.search({}, `?${query}`)).status, 200, query)
  }
  const { path } = await api.create()
  for (const query of ['limit=0', 'limit=201', 'limit=x', 'cursor=x', 'sort=lastName', `${secret()}=1`]) {
    isProblem(t, await api.get(`${path}/tests?${query}`), 400)
  }
})

test('the results are sorted as asked, a missing lastName as empty, by id among equals', async (t) => {
  const insuranceNumber = secret()
  const names = [undefined, undefined, 'Adams', 'Adams', 'Zebra', 'adams', 'Ärger', '!', undefined, 'Adams ']
  for (const [i, lastName] of names.entries()) {
    const born = i % 3 === 0 ? '1980-01' : dateOfBirth()
    await api.create({ insuranceNumber, lastName, dateOfBirth: born })
  }
  const values: Record<string, (patient: any) => string> = {
    id: ({ id }) => id,
    lastName: ({ lastName = '' }) => lastName.toLowerCase().replace('ä', 'a'),
    dateOfBirth: ({ dateOfBirth }) => dateOfBirth,
    lastUpdated: ({ lastUpdated }) => lastUpdated
  }
  for (const [sort, value] of Object.entries(values)) {
    const { body } = await api.search({ insuranceNumber }, `?sort=${sort}`)
    const bytes = (patient: any) => Buffer.from(`${value(patient)}\0${patient.id}`)
    t.strictSame(body, [...body].sort((a, b) => Buffer.compare(bytes(a), bytes(b))), sort)
    t.equal(body.length, names.length)
    t.strictSame((await api.search({ insuranceNumber }, `?sort=-${sort}`)).body, body.reverse(), `-${sort}`)
  }
  const byId = await api.search({ insuranceNumber }, '?sort=id')
  t.strictSame((await api.search({ insuranceNumber })).body, byId.body)
})

test('a page has 100 patients unless limit says otherwise, and 200 at most', async (t) => {
  const insuranceNumber = secret()
  await inParallel(201, 16, () => api.create({ insuranceNumber }))
  t.equal((await api.search({ insuranceNumber })).body.length, 100)
  t.equal((await api.search({ insuranceNumber }, '?limit=7')).body.length, 7)
  const { body, headers } = await api.search({ insuranceNumber }, '?limit=200')
  t.equal(body.length, 200)
  const [, next] = /^<([^>]+)>; rel="next"$/.exec(headers.link!)!
  const last = await api.call('POST', next!, { body: { insuranceNumber } })
  t.equal(last.body.length, 1)
  t.notOk(last.headers.link, 'nothing follows the last page')
  const only = await api.search({ insuranceNumber, firstName: body[0].firstName }, '?limit=1')
  t.notOk(only.headers.link, 'nothing follows a full last page')
})

test('the reader product may search and load, and no more', async (t) => {
  const { id, path } = await api.create()
  t.equal((await api.search({ id }, '', api.asReader)).body.length, 1)
  t.equal((await api.get(path, api.asReader)).status, 200)
  t.strictSame((await api.get(`${path}/tests`, api.asReader)).body, [])
  t.equal((await api.post('/patient', newPatient(), api.asReader)).status, 401)
  t.equal((await api.delete(path, api.asReader)).status, 401)
  t.equal((await api.get(path)).status, 200)
})

testLogs(api)
