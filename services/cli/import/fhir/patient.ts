import { stringFormats } from '#common/http/formats.ts'
import { countryOf } from './countries.ts'
import type { Element } from './source.ts'
import { compact, concept, identifiers, period } from './values.ts'

/** The patient of the API (NewPatient in services/patient/schemas/patient.ts). */
export function toPatient (element: Element, id: string) {
  return compact({
    ...names(element.children('name')),
    gender: element.text('gender') ?? 'unknown',
    dateOfBirth: element.text('birthDate'),
    deceased: element.flag('deceasedBoolean') ?? element.text('deceasedDateTime'),
    active: element.flag('active'),
    identifiers: identifiers(element, id),
    contacts: element.children('telecom').flatMap((one) => contact(one) ?? []),
    addresses: element.children('address').flatMap((one) => address(one) ?? []),
    language: language(element.children('communication')),
    maritalStatus: concept(element.child('maritalStatus'))
  })!
}

/** The name in use, the name at birth and the one that the patient prefers; others stay unread. */
function names (all: Element[]) {
  const of = (...uses: unknown[]) => all.find((name) => uses.includes(name.peek('use')))
  const main = of('official') ?? of('usual') ?? of(undefined) ??
    all.find((name) => name.peek('use') !== 'maiden') ?? all[0]
  if (!main) return {}
  if (main.peek('use') === 'official') main.text('use')
  const [firstName, ...middleNames] = main.texts('given')
  return {
    title: main.texts('prefix').join(' ') || undefined,
    firstName,
    middleNames,
    lastName: main.text('family'),
    fullName: main.text('text'),
    birthName: birthName(all.find((name) => name !== main && name.peek('use') === 'maiden'), main),
    preferredName: preferredName(
      all.find((name) => name !== main && name.peek('use') === 'nickname') ??
      all.find((name) => name !== main && name.peek('use') === 'usual'), main)
  }
}

function birthName (name: Element | undefined, main: Element) {
  if (!name) return undefined
  const birthName = name.text('family') ?? name.text('text')
  if (birthName !== undefined) name.text('use')
  readSame(name, main, 'prefix', 'given')
  return birthName
}

function preferredName (name: Element | undefined, main: Element) {
  if (!name) return undefined
  const preferredName = name.text('text') ?? (name.texts('given').join(' ') || name.text('family'))
  if (preferredName !== undefined && name.peek('use') === 'nickname') name.text('use')
  readSame(name, main, 'prefix', 'family')
  return preferredName
}

/** Reads parts of a name that are those of the main name, which has them. */
function readSame (name: Element, main: Element, ...parts: string[]) {
  for (const part of parts) {
    if (JSON.stringify(name.peek(part)) !== JSON.stringify(main.peek(part))) continue
    name.text(part)
    name.texts(part)
  }
}

const SYSTEMS = ['phone', 'email', 'sms', 'other']

function contact (element: Element) {
  const value = element.text('value')
  if (value === undefined) return undefined
  // A fax, a pager or a page of the web; what it is stays unread
  const system = SYSTEMS.includes(String(element.peek('system'))) ? element.text('system') : 'other'
  if (element.peek('rank') === 1) element.number('rank')
  const preferred = element.peek('rank') === 1 || undefined
  return compact({ system, value, use: element.text('use'), preferred })
}

function address (element: Element) {
  const lines = element.texts('line')
  const country = countryOf(String(element.peek('country') ?? ''))
  if (country !== undefined) element.text('country')
  const parts = compact({
    lines,
    city: element.text('city'),
    district: element.text('district'),
    state: element.text('state'),
    postCode: element.text('postalCode'),
    country,
    period: period(element.child('period'))
  })
  const { lines: read, ...others } = parts ?? {}
  const whole = read ? undefined : element.text('text')?.split('\n').filter((line) => line.trim() !== '')
  const all = compact({ lines: read ?? whole, ...others })
  return all && compact({ ...all, use: element.text('use') })
}

/** The language in which to talk to the patient, if it has a tag. */
function language (communications: Element[]) {
  const chosen = communications.find((one) => one.peek('preferred') === true) ?? communications[0]
  const coding = chosen?.child('language')?.children('coding').find(isTag)
  if (!coding) return undefined
  if (chosen!.peek('preferred') === true) chosen!.flag('preferred')
  if (coding.peek('system') === 'urn:ietf:bcp:47') coding.text('system')
  return coding.text('code')
}

function isTag (coding: Element) {
  const code = coding.peek('code')
  const { validate } = stringFormats.language as { validate: (text: string) => boolean }
  return typeof code === 'string' && validate(code)
}
