import http from 'k6/http'
import { check } from 'k6'

// One client stores a patient, loads and finds it, and deletes it again

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080'
const headers = { 'Ocp-Apim-Subscription-Key': __ENV.SUBSCRIPTION_KEY }

export const options = {
  vus: 1,
  iterations: 5,
  thresholds: { checks: ['rate==1'] }
}

export default function () {
  const details = { firstName: 'Smoke', lastName: 'Test', gender: 'unknown', dateOfBirth: '1900', postCode: '0000' }
  const created = http.post(`${BASE_URL}/patient`, JSON.stringify(details), { headers, tags: { name: '/patient' } })
  check(created, { 'created with an id': (answer) => answer.status === 201 && typeof answer.json('id') === 'string' })

  const url = `${BASE_URL}/patient/${created.json('id')}`
  const ofPatient = { headers, tags: { name: '/patient/:patientId' } }
  check(http.get(url, ofPatient), { 'loaded as it was created': (answer) => answer.status === 200 && answer.body === created.body })

  const criteria = JSON.stringify({ id: created.json('id') })
  const found = http.post(`${BASE_URL}/patient/search`, criteria, { headers, tags: { name: '/patient/search' } })
  check(found, { 'found by its id': (answer) => answer.status === 200 && answer.json('#') === 1 })
  check(http.del(url, null, ofPatient), { deleted: (answer) => answer.status === 204 })
}
