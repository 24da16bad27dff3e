import { test } from 'tap'
import { patientFilter } from '../search/filter.ts'
import { fold } from '../search/fold.ts'
import { KeyMaker } from '../search/keys.ts'
import { ada, patient } from './app.ts'

/** Names as they are stored, and as a clerk types them. */
const NAMES: Array<[stored: string, typed: string[]]> = [
  ['Müller', ['MÜLLER', 'muller', 'Mu\u0308ller', ' müller ']],
  ['O’Brien', ["o'brien", 'O‘BRIEN', 'O`Brien', 'Oʼbrien']],
  ['Saint‑Exupéry', ['saint-exupery', 'SAINT–EXUPÉRY']],
  ['van  der   Berg', ['Van Der Berg', 'VAN DER BERG']],
  ['Weiß', ['weiss', 'WEISS']],
  ['Łukasiewicz', ['lukasiewicz']],
  ['Sørensen', ['sorensen', 'SØRENSEN']],
  ['Đorđević', ['dordevic']],
  ['Þórsdóttir', ['thorsdottir']],
  ['İnönü', ['inonu', 'INÖNÜ']],
  ['Αγγελόπουλος', ['αγγελοπουλος', 'ΑΓΓΕΛΌΠΟΥΛΟΣ']],
  ['Королёв', ['королев', 'КОРОЛЕВ']],
  ['שָׁלוֹם', ['שלום']],
  ['مُحَمَّد', ['محمد']],
  ['ﾔﾏﾀﾞ', ['ヤマダ']],
  ['김', ['김', '\u1100\u1175\u11b7']],
  ['Ｓｍｉｔｈ', ['smith']],
  ['ﬁsher', ['FISHER']],
  ['Nguyễn', ['nguyen', 'NGUYỄN']],
  ['कुमार', ['कुमार']]
]

test('names match regardless of case, accents, form, apostrophes, hyphens and white space', async (t) => {
  const { call } = await patient(t)
  for (const [lastName] of NAMES) await call('POST', '/patient', { ...ada, lastName })
  for (const [stored, typed] of NAMES) {
    for (const lastName of [stored, ...typed]) {
      const found = (await call('POST', '/patient/search', { lastName })).json()
      t.equal(found.length, 1, lastName)
      t.equal(fold(found[0].lastName), fold(stored), lastName)
    }
    const letters = [...stored].slice(0, 4).join('')
    if (letters.length < 2) continue
    const prefix = (await call('POST', '/patient/search', { lastNamePrefix: letters.toUpperCase() })).json()
    t.ok(prefix.some(({ lastName }: { lastName: string }) => fold(lastName) === fold(stored)), letters)
  }
  t.same((await call('POST', '/patient/search', { lastName: 'Mull' })).json(), [])
  t.same((await call('POST', '/patient/search', { lastName: 'muller', match: 'exact' })).json(), [])
  t.equal((await call('POST', '/patient/search', { lastName: 'Müller', match: 'exact' })).json().length, 1)
  // Letters to their readers, not marks
  t.same((await call('POST', '/patient/search', { lastName: 'कमर' })).json(), [])
})

test('a prefix has at least two letters', async (t) => {
  const { call } = await patient(t)
  await call('POST', '/patient', ada)
  for (const prefix of ['L', ' L ', '\u0301\u0301']) {
    const { statusCode, body } = await call('POST', '/patient/search', { lastNamePrefix: prefix })
    t.equal(statusCode, 400)
    t.match(body, '#/lastNamePrefix')
  }
  for (const criteria of [{ firstNamePrefix: 'au' }, { fullNamePrefix: 'augusta ada LOVE' }]) {
    t.equal((await call('POST', '/patient/search', criteria)).json().length, 1)
  }
})

test('phone numbers match by their digits', async (t) => {
  const { call } = await patient(t)
  const contacts = [{ system: 'phone', value: '+1 (555) 981-4984' }]
  const { id } = (await call('POST', '/patient', {
    ...ada, preferredContactNumber: '020 7946 0018', contacts
  })).json()
  const typed = ['+44 20 7946 0018', '02079460018', '+442079460018', '+1 555 981 4984']
  for (const preferredContactNumber of typed) {
    t.match((await call('POST', '/patient/search', { preferredContactNumber })).json(), [{ id }])
  }
  t.same((await call('POST', '/patient/search', { preferredContactNumber: '020 7946 0019' })).json(), [])
})

test('identifiers match regardless of white space, hyphens and case', async (t) => {
  const { call } = await patient(t)
  const identifiers = [{ system: 'urn:mrn', value: 'AB-12 34' }, { value: 'no-system' }]
  const { id } = (await call('POST', '/patient', { ...ada, identifiers, insuranceNumber: 'QQ 12-34' })).json()
  const found = [
    { identifier: { system: 'urn:mrn', value: 'ab1234' } }, { identifier: { value: 'AB 1234' } },
    { identifier: { value: 'nosystem' } }, { insuranceNumber: 'qq1234' }, { postCode: 'w1s 4' }
  ]
  for (const criteria of found) {
    t.match((await call('POST', '/patient/search', criteria)).json(), [{ id }], JSON.stringify(criteria))
  }
  for (const identifier of [{ system: 'urn:other', value: 'AB-12 34' }, { value: 'x' }]) {
    t.same((await call('POST', '/patient/search', { identifier })).json(), [])
  }
})

test('patients are found by their addresses, and by whether they live and are active', async (t) => {
  const { call } = await patient(t)
  const addresses = [{ city: 'Zürich', country: 'CH', postCode: '8001' }, { city: 'London' }]
  const { id } = (await call('POST', '/patient', { ...ada, addresses, deceased: '2020-05' })).json()
  const { id: other } = (await call('POST', '/patient', { ...ada, deceased: false, active: false })).json()
  const { id: third } = (await call('POST', '/patient', ada)).json()
  const ids = async (criteria: object) => {
    const found: Array<{ id: string }> = (await call('POST', '/patient/search', criteria)).json()
    return found.map(({ id }) => id).sort()
  }
  for (const criteria of [{ city: 'ZURICH' }, { country: 'CH' }, { postCode: '8001' }, { deceased: true }]) {
    t.same(await ids(criteria), [id], JSON.stringify(criteria))
  }
  t.same(await ids({ deceased: false }), [other, third].sort())
  t.same(await ids({ active: false }), [other])
  t.same(await ids({ active: true }), [id, third].sort())
})

test('patients are sorted by the folded last name, without one first', async (t) => {
  const { call } = await patient(t)
  const names = [undefined, 'adam', 'Äpfel', 'Bob', 'éclair', 'Zoe']
  for (const lastName of names.toReversed()) await call('POST', '/patient', { ...ada, lastName })
  for (const [sort, expected] of [['lastName', names], ['-lastName', names.toReversed()]] as const) {
    const walked: unknown[] = []
    let url = `/patient/search?limit=2&sort=${sort}`
    while (url) {
      const response = await call('POST', url, {})
      walked.push(...response.json().map(({ lastName }: { lastName?: string }) => lastName))
      url = /<([^>]+)>/.exec(String(response.headers.link ?? ''))?.[1] ?? ''
    }
    t.same(walked, expected, sort)
  }
})

test('Prefer: count=exact asks for the number of patients', async (t) => {
  const { call, records } = await patient(t)
  for (let i = 0; i < 3; i++) await call('POST', '/patient', ada)
  const prefer = { prefer: 'count=exact' }
  const counted = await call('POST', '/patient/search?limit=1', { lastName: 'LOVELACE' }, prefer)
  t.match(counted.headers, { 'total-count': '3', 'preference-applied': 'count=exact' })
  t.match((await records()).at(-1), { criteria: ['lastName', 'count'] })
  const plain = await call('POST', '/patient/search?limit=1', { lastName: 'LOVELACE' })
  t.notOk('total-count' in plain.headers)
})

test('names, phones and identifiers are found by an index', async (t) => {
  const { app, call, db } = await patient(t)
  for (let i = 0; i < 200; i++) {
    const lastName = `Name${String.fromCharCode(97 + i % 26)}${i}`
    await call('POST', '/patient', {
      ...ada, lastName, preferredContactNumber: `020 7946 ${1000 + i}`, identifiers: [{ value: `id ${i}` }]
    })
  }
  const keys = new KeyMaker('GB')
  const criteria = [
    { lastName: 'nameb27' }, { lastNamePrefix: 'nameb2' }, { fullNamePrefix: 'augusta ada nameb2' },
    { preferredContactNumber: '+442079461027' }, { identifier: { value: 'ID27' } }
  ]
  await app.database.connected
  for (const wanted of criteria) {
    const filter = { ...patientFilter(wanted, keys, true), _deleted: null }
    const cursor = db.collection('patients').find(filter).sort({ _id: 1 }).limit(101)
    const plan = await cursor.explain('executionStats')
    t.match(JSON.stringify(plan), /IXSCAN/, JSON.stringify(wanted))
    t.ok(plan.executionStats.totalDocsExamined <= 11, JSON.stringify(wanted))
  }
})

test('invisible characters make no difference, and a name of nothing else is refused', async (t) => {
  const { call } = await patient(t)
  await call('POST', '/patient', { ...ada, lastName: undefined, fullName: 'Ada' })
  const names = { lastName: 'علی\u200cرضا', firstName: 'Ada\u00adline' }
  const { id } = (await call('POST', '/patient', { ...ada, ...names })).json()
  for (const criteria of [{ lastName: 'علیرضا' }, { firstName: 'adaline' }]) {
    t.match((await call('POST', '/patient/search', criteria)).json(), [{ id }])
  }
  for (const lastName of ['\u0640', '\u0301', '\u200c']) {
    const errors = [{ pointer: '#/lastName', message: 'must have a letter or digit' }]
    t.match((await call('POST', '/patient/search', { lastName })).json(), { status: 400, errors })
  }
})

test('a patient has died between 1850 and today', async (t) => {
  const { call } = await patient(t)
  for (const deceased of ['0500', '2999-01-01', '2999-01-01T00:00:00Z', 'yes']) {
    t.equal((await call('POST', '/patient', { ...ada, deceased })).statusCode, 400, deceased)
  }
  for (const deceased of [true, false, '2020', '2020-02-29T10:00:00+01:00']) {
    t.equal((await call('POST', '/patient', { ...ada, deceased })).statusCode, 201, String(deceased))
  }
})
