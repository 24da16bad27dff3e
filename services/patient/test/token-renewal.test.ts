import t from 'tap'
import { ada, patient } from './app.ts'
import { tokenDatabase } from './token-database.ts'

const { endpoint, connection } = await tokenDatabase(t, 2)
const { call } = await patient(t, undefined, { PATIENT_DB_CONNECTION: connection, DATABASE_NAME: 'patient' })

/** Waits for `count` more tokens. */
function issued (count: number) {
  const { promise, resolve } = Promise.withResolvers<void>()
  endpoint.onRequest = () => { if (--count === 0) resolve() }
  return promise
}

t.test('the service logs in again before its token expires, also without requests', async (t) => {
  const { headers: { location } } = await call('POST', '/patient', ada)
  // One ahead of the login, and one in it: the SDK keeps none that are valid for so short a time
  await issued(4)
  t.equal((await call('GET', String(location))).statusCode, 200)
})

t.test('it tries again after a token could not be had', async (t) => {
  endpoint.isUnavailable = true
  await issued(2)
  endpoint.isUnavailable = false
  await issued(2)
  t.equal((await call('POST', '/patient', ada)).statusCode, 201)
})
