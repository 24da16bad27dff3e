import t from 'tap'
import { parseExact, Source } from '../fhir/source.ts'
import { countryOf } from '../fhir/countries.ts'
import { missing } from './back.ts'
import { cases, kinds } from './elements.ts'

const sorted = (counts: Iterable<[string, number]>) => [...counts].sort()
const plain = (value: unknown) => JSON.parse(JSON.stringify(value))

for (const { kind, element, source, expected, unread = {}, oneWay } of cases) {
  const { to, back, base } = kinds[kind]!
  const resourceType = kind === 'single' ? 'Observation' : kind
  t.test(`${resourceType}: ${element}`, async (t) => {
    const gender = kind === 'Patient' && !/"gender":"other"/.test(source) ? { gender: 'female' } : {}
    const resource = { resourceType, id: '1', ...gender, ...parseExact(source) as object }
    const read = new Source(resource)
    const model = to(read.root, '1')
    const wanted = { ...base, ...parseExact(expected) as object }
    t.strictSame(plain(model), plain(wanted))
    t.equal(digits(model), digits(wanted), 'the numbers keep their digits')
    t.strictSame(sorted(read.unread()), sorted(Object.entries(unread)))
    if (oneWay) return
    const again = back(model)
    t.strictSame([...missing(again, resource)], [], 'nothing is filled in')
    const lost = [...missing(resource, again).keys()].map((path) => `${resourceType}.${path}`)
    const named = Object.keys(unread)
    const nameOf = (path: string) => named.find((name) => `${path}.`.startsWith(`${name}.`)) ?? path
    t.strictSame([...new Set(lost.map(nameOf))].sort(), named.sort())
  })
}

function digits (value: unknown) {
  return JSON.stringify(JSON.stringify(value).match(/:-?\d[\d.eE+-]*/g)?.sort())
}

t.test('a patient without a gender has an unknown one', async (t) => {
  t.match(kinds.Patient!.to(new Source({ resourceType: 'Patient' }).root, '1'), { gender: 'unknown' })
})

t.test('the id of a resource is an identifier', async (t) => {
  const id = '6f0c7e5e-7d0f-4c8e-9a53-0f3f2f6a1c11'
  const ofId = (id: string) => kinds.Patient!.to(new Source({ resourceType: 'Patient' }).root, id)
  t.match(ofId(id), { identifiers: [{ system: 'urn:ietf:rfc:3986', value: `urn:uuid:${id}` }] })
  t.match(ofId('https://example.com/Patient/1'), { identifiers: [{ system: 'urn:ietf:rfc:3986' }] })
  t.strictSame(ofId('1'), { gender: 'unknown', identifiers: [{ value: 'Patient/1' }] })
})

t.test('names of elements that FHIR cannot have are not shown', async (t) => {
  const name = 'Ada Lovelace'
  const source = new Source({ resourceType: 'Patient', [name]: 1, extension: [{ url: name }] })
  t.strictSame([...source.unread().keys()], ['Patient.(another name)', 'Patient.extension'])
})

t.test('countries are known by codes and names', async (t) => {
  const found =
    ['us', 'USA', 'United States', 'United States of America', 'UK', 'Deutschland', 'España', 'Norge']
  t.strictSame(found.map(countryOf), ['US', 'US', 'US', 'US', 'GB', 'DE', 'ES', 'NO'])
  for (const unknown of ['', 'XX', 'XYZ', 'Congo', 'Massachusetts']) t.equal(countryOf(unknown), undefined)
})
