import t from 'tap'
import { Tokens } from '../tokens.ts'
import { RESOURCE, access, sdk, startVault } from './vault.ts'

const vault = await startVault(t)
const { askToken, call, headers } = vault
const { clientId } = access.patient!

t.test('an identity gets a token for the vault by its own header', async (t) => {
  const { statusCode, headers, json } = await askToken('patient')
  t.equal(statusCode, 200)
  t.match(headers['content-type'], 'application/json')
  const { access_token: token, expires_on: expiresOn, ...rest } = json()
  t.strictSame(rest, { resource: RESOURCE, token_type: 'Bearer', client_id: clientId })
  t.type(expiresOn, 'string')
  t.ok(Math.abs(Number(expiresOn) - Date.now() / 1_000 - 86_400) < 60)
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
  t.match(claims, { appid: clientId, aud: RESOURCE, exp: Number(expiresOn) })
})

t.test('tokens are for the vault, Azure Monitor and Azure DocumentDB only', async (t) => {
  for (const resource of [
    RESOURCE,
    `${RESOURCE}/`,
    'https://monitor.azure.com',
    'https://monitor.azure.com/',
    'https://ossrdbms-aad.database.windows.net'
  ]) {
    const { statusCode, json } = await askToken('patient', { resource })
    t.equal(statusCode, 200, resource)
    t.equal(json().resource, resource)
  }
  for (const resource of [
    '',
    'https://vault.azure.net',
    'https://management.azure.com',
    `${RESOURCE}.example`
  ]) {
    const { statusCode, json } = await askToken('patient', { resource })
    t.equal(statusCode, 400, resource)
    t.equal(json().statusCode, 400)
  }
})

t.test('no header gets a token of another identity', async (t) => {
  for (const mine of Object.keys(access)) {
    for (const other of Object.keys(access).filter((name) => name !== mine)) {
      const { statusCode, json } = await askToken(other, { header: headers[mine] })
      t.equal(statusCode, 400, `${mine} is not ${other}`)
      t.strictSame(json(), {
        statusCode: 400,
        message: 'No User Assigned Managed Identity found for specified ClientId/ResourceId/PrincipalId.'
      })
    }
  }
})

t.test('a call without a parameter or header is refused with its name', async (t) => {
  const query = `api-version=2019-08-01&resource=${encodeURIComponent(RESOURCE)}&client_id=${clientId}`
  const asPatient = { 'x-identity-header': headers.patient! }
  t.equal((await call(`/msi/token?${query}`)).statusCode, 400, 'no header')
  for (const header of ['', 'x', `${headers.patient}x`, headers.patient!.slice(1)]) {
    t.equal(
      (await call(`/msi/token?${query}`, { headers: { 'x-identity-header': header } })).statusCode,
      401,
      'a wrong header'
    )
  }
  for (const name of ['api-version', 'resource', 'client_id']) {
    const { statusCode, json } = await call(`/msi/token?${query.replace(name, 'x')}`, { headers: asPatient })
    t.equal(statusCode, 400, name)
    t.match(json(), { statusCode: 400, message: String })
  }
  for (const wrong of [
    query.replace('2019-08-01', '2017-09-01'),
    `${query}&client_id=x`,
    query.replace(clientId, `x${clientId}`)
  ]) {
    t.equal((await call(`/msi/token?${wrong}`, { headers: asPatient })).statusCode, 400, wrong)
  }
  t.equal(
    (await call(`/msi/token?${query.replace(clientId, clientId.toUpperCase())}`, { headers: asPatient }))
      .statusCode,
    200,
    'the case of a GUID does not count'
  )
})

t.test('the SDK gets no token by the header of another, nor by a wrong one', async (t) => {
  for (const header of [headers.gateway!, 'wrong']) {
    const client = sdk(t, vault, 'patient', { IDENTITY_HEADER: header })
    await t.rejects(client('getSecret', 'patient-host-key'), {
      name: /CredentialUnavailableError|AuthenticationRequiredError|ManagedIdentity/
    })
  }
})

t.test('a token holds for its resource, its key and a day', async (t) => {
  const tokens = new Tokens(Buffer.alloc(32, 1))
  const { token } = tokens.issue(clientId, RESOURCE)
  t.equal(tokens.verify(token, RESOURCE), clientId)
  t.equal(tokens.verify(token, 'https://monitor.azure.com'), undefined)
  t.equal(new Tokens(Buffer.alloc(32, 2)).verify(token, RESOURCE), undefined)
  const now = Date.now()
  t.intercept(Date, 'now', { value: () => now - 86_401_000 })
  const old = tokens.issue(clientId, RESOURCE).token
  t.intercept(Date, 'now', { value: () => now })
  t.equal(tokens.verify(old, RESOURCE), undefined)
})
