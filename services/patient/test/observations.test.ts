import { test } from 'tap'
import { ada, patient } from './app.ts'

const loinc = 'http://loinc.org'
const measured = (id: string, changes: object = {}) =>
  ({ id, code: { system: loinc, code: '718-7' }, status: 'final', value: { number: 8 }, ...changes })

async function withResults (t: Parameters<typeof patient>[0]) {
  const { call } = await patient(t)
  const path = (await call('POST', '/patient', ada)).headers.location as string
  const { id, status, ...component } = measured('x')
  const translations = [{ system: 'http://local', code: 'FBC' }]
  const results = [
    {
      title: 'a',
      effective: '2024-03-01',
      status: 'final',
      category: { code: 'LAB' },
      observations: [
        measured('1'),
        measured('2', { effective: '2023-01-01' }),
        measured('3', { status: 'entered-in-error' })
      ]
    },
    {
      title: 'b',
      effective: '2024-05',
      code: { code: 'panel', translations },
      observations: [{ id: '1', code: 'bp', status: 'final', components: [component] }]
    },
    { title: 'c', conclusion: 'nothing found', issued: '2016-12-31T23:59:60Z' }
  ]
  for (const result of results) {
    const response = await call('POST', `${path}/tests`, result)
    if (response.statusCode !== 201) throw new Error(response.body)
  }
  const titles = async (query: string) =>
    (await call('GET', `${path}/tests?${query}`)).json().map(({ title }: { title: string }) => title)
  const series = async (query: string) =>
    (await call('GET', `${path}/observations?code=718-7&${query}`)).json()
  return { call, path, titles, series }
}

test('test results are listed by code, category, status and date', async (t) => {
  const { titles } = await withResults(t)
  for (const [query, expected] of Object.entries({
    'sort=effective': ['c', 'a', 'b'],
    'sort=-effective': ['b', 'a', 'c'],
    'sort=effective&code=718-7': ['a', 'b'],
    'sort=effective&code=http://loinc.org|718-7': ['a', 'b'],
    'code=http://other|718-7': [],
    'code=FBC': ['b'],
    'code=http://local|FBC': ['b'],
    'code=bp': ['b'],
    'category=LAB': ['a'],
    'status=final': ['a'],
    'effectiveFrom=2024-05-20': ['b'],
    'sort=effective&effectiveTo=2024-03-01': ['c', 'a'],
    'effectiveFrom=2016-12-31&effectiveTo=2017': ['c']
  })) t.same(await titles(query), expected, query)
})

test('the series of a code has observations and components, by their own dates and statuses', async (t) => {
  const { series } = await withResults(t)
  const all = await series('')
  t.same(all.map(({ id, effective }: { id: string, effective: string }) => `${id} ${effective}`),
    ['1 2024-05', '1 2024-03-01', '3 2024-03-01', '2 2023-01-01'])
  t.match(all[0], { code: { code: '718-7' }, value: { number: 8 }, status: 'final' })
  t.equal((await series('status=entered-in-error')).length, 1)
  t.equal((await series('status=final')).length, 3)
  t.equal((await series('effectiveFrom=2024')).length, 3)
  t.match(await series('effectiveTo=2023'), [{ id: '2' }])
  t.equal((await series('category=LAB')).length, 3)
})

test('values without content are refused, and a value with a reason why there is none', async (t) => {
  const { call, path } = await withResults(t)
  const wrong = [
    { value: { range: {} } }, { value: { ratio: {} } }, { value: undefined, components: [] },
    { absentReason: 'unknown' }, { value: { unit: 'g' } }, { value: { number: 1, boolean: true } }
  ]
  for (const changes of wrong) {
    const response = await call('POST', `${path}/tests`, { observations: [measured('1', changes)] })
    t.equal(response.statusCode, 400, JSON.stringify(changes))
    t.match(response.body, '#/observations/0')
  }
})
