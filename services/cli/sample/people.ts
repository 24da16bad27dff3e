// Invented patients. The n-th is always the same, so that a larger sample begins with a smaller one.

const GIVEN = {
  female: ['Ada', 'Amina', 'Chloé', 'Elif', 'Grace', 'Ingrid', 'Maya', 'Niamh', 'Rosa', 'Žofie'],
  male: ['Alan', 'Björn', 'Dmitri', 'Emeka', 'Hugo', 'Kenji', 'Liam', 'Mateo', 'Omar', 'Tomasz']
}
const FAMILY = [
  'Abbott', 'Baptiste', 'Chowdhury', 'Dvořák', 'Eriksen', 'Fernández', 'Greene', 'Haddad', 'Ito', 'Jansen',
  'Kowalski', 'Lindqvist', 'Murphy', 'Novák', 'Okafor', 'Patel', 'Quinn', 'Rossi', 'Şahin', 'Taylor'
]
const POST_CODES = ['W1S4', 'EH1 1YZ', 'CF10 1EP', 'M1 1AE', 'BT1 5GS', 'LS1 4AP']

interface Measurement {
  code: string
  display: string
  unit: string
  low: number
  high: number
  digits: number
}

/** By LOINC code, with the range of most adults. */
const MEASUREMENTS: Measurement[] = [
  { code: '718-7', display: 'Haemoglobin', unit: 'g/dL', low: 12, high: 16, digits: 1 },
  { code: '6690-2', display: 'Leucocytes', unit: '10*9/L', low: 4, high: 10, digits: 1 },
  { code: '777-3', display: 'Platelets', unit: '10*9/L', low: 150, high: 400, digits: 0 },
  { code: '2345-7', display: 'Glucose', unit: 'mg/dL', low: 70, high: 100, digits: 0 },
  { code: '2160-0', display: 'Creatinine', unit: 'mg/dL', low: 0.6, high: 1.2, digits: 2 },
  { code: '4548-4', display: 'Haemoglobin A1c', unit: '%', low: 4, high: 5.6, digits: 1 }
]
const MAX_TESTS = 3
const PER_TEST = 3

/** The `n`-th patient with its test results, as `npm run import` takes them. */
export function invented (n: number) {
  const random = randomOf(n)
  const pick = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)]!
  const gender = pick(['female', 'male'] as const)
  const patient = {
    id: `invented-${n}`,
    firstName: pick(GIVEN[gender]),
    lastName: pick(FAMILY),
    gender,
    dateOfBirth: dateBetween(1930, 2020, random()),
    postCode: pick(POST_CODES),
    insuranceNumber: `INVENTED-${String(n).padStart(6, '0')}`
  }
  const tests = Array.from({ length: 1 + Math.floor(random() * MAX_TESTS) }, (_, i) => ({
    id: String(i),
    performer: `Laboratory ${1 + Math.floor(random() * 4)}`,
    effective: dateBetween(2024, 2026, random()),
    observations: Array.from({ length: PER_TEST }, (_, j) => {
      return observation(String(j + 1), MEASUREMENTS[(n + i + j) % MEASUREMENTS.length]!, random())
    })
  }))
  return { patient, tests }
}

/** @param share where the value is in a range that is half as wide again as the usual one */
function observation (id: string, { code, display, unit, low, high, digits }: Measurement, share: number) {
  const value = Number((low + (high - low) * (1.5 * share - 0.25)).toFixed(digits))
  return {
    id,
    code: { system: 'http://loinc.org', code, display },
    value: { number: value, unit },
    interpretation: value < low ? 'low' : value > high ? 'high' : 'normal',
    referenceRange: [{ low: { number: low, unit }, high: { number: high, unit } }],
    status: 'final'
  }
}

/** A date from the first day of a year to before that of another one. */
function dateBetween (from: number, to: number, share: number) {
  const [first, last] = [Date.UTC(from), Date.UTC(to)]
  return new Date(first + (last - first) * share).toISOString().slice(0, 10)
}

/** Numbers from 0 to below 1 that depend on the seed only (mulberry32). */
function randomOf (seed: number) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
