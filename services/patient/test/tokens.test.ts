import { MongoClient } from 'mongodb'
import t from 'tap'
import { ada, patient } from './app.ts'
import { tokenDatabase } from './token-database.ts'

// The SDK keeps no token that expires within 5 minutes
const LIFE_SECONDS = 30
const { time, endpoint, tokens, clientId, connection } = await tokenDatabase(t, LIFE_SECONDS)
const expire = () => { time.ahead += (LIFE_SECONDS + 1) * 1_000 }
const { call, logs } = await patient(t, undefined, {
  PATIENT_DB_CONNECTION: connection,
  DATABASE_NAME: 'patient'
})
const { headers: { location } } = await call('POST', '/patient', ada)
const url = String(location)

/** The code with which the database refuses a token of `audience`. */
async function codeOf (token: string) {
  const client = new MongoClient(connection, {
    authMechanismProperties: { OIDC_CALLBACK: async () => ({ accessToken: token }) }
  })
  try {
    await client.db('patient').collection('patients').countDocuments()
  } catch (error) {
    return (error as { code: number }).code
  } finally {
    await client.close()
  }
}

t.test('the service reads and writes with a token instead of a password', async (t) => {
  t.match((await call('GET', url)).json(), ada)
})

t.test('a token is for the database, an identity that may use it, and a limited time', async (t) => {
  const audience = 'https://ossrdbms-aad.database.windows.net'
  const { token } = tokens.issue(clientId, audience)
  t.equal(await codeOf(token), undefined)
  t.equal(await codeOf(tokens.issue(clientId, 'https://vault.localhost').token), 18, 'another audience')
  t.equal(await codeOf(tokens.issue('somebody', audience).token), 18, 'another identity')
  t.equal(await codeOf(`${token}x`), 18, 'a wrong signature')
  expire()
  t.equal(await codeOf(token), 18, 'expired')
})

t.test('no request fails when the database refuses an expired token', async (t) => {
  const before = endpoint.requests
  expire()
  const answers = await Promise.all(Array.from({ length: 5 }, () => call('GET', url)))
  t.strictSame([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
  t.ok(endpoint.requests > before, 'there is a new token')
})

t.test('without a token, requests get 503 until there is one again', async (t) => {
  expire()
  endpoint.isUnavailable = true
  t.equal((await call('GET', url)).statusCode, 503)
  t.match(logs(), /MongoOIDCError/)
  t.notMatch(logs(), /"err":[^}]*eyJ/, 'logs hold no token')
  endpoint.isUnavailable = false
  t.equal((await call('GET', url)).statusCode, 200)
})
