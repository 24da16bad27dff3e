import type { Test } from 'tap'
import { DEPLOYER, SUBSCRIPTION } from './ids.ts'
import { escapeExpressions } from './policies.ts'
import { Subscription } from './subscription.ts'

const ROOT = `/subscriptions/${SUBSCRIPTION}`
const GROUP = `${ROOT}/resourceGroups/rg`
const VAULT = `${GROUP}/providers/Microsoft.KeyVault/vaults/kv`
const LOCK = `${VAULT}/providers/Microsoft.Authorization/locks/lock`
const ROLE = `${VAULT}/providers/Microsoft.Authorization/roleAssignments/${DEPLOYER}`

/** What the stand-in refuses, as Resource Manager does. Without it an apply to it would prove little. */
export async function checkRules (t: Test) {
  const subscription = new Subscription()
  const ask = async (method: string, path: string, body: object = {}) => {
    const query = new URLSearchParams()
    const { status, body: answer } = await subscription.answer({
      method,
      host: 'management.azure.com',
      path,
      query,
      body
    })
    const { error } = (answer ?? {}) as { error?: { code: string } }
    return error ? `${status} ${error.code}` : `${status}`
  }
  const vault = { location: 'westeurope', properties: {} }

  t.equal(await ask('PUT', VAULT, vault), '404 ResourceGroupNotFound')
  t.equal(await ask('PUT', GROUP), '200')
  t.equal(await ask('PUT', VAULT, vault), '409 MissingSubscriptionRegistration')
  t.equal(await ask('POST', `${ROOT}/providers/Microsoft.KeyVault/register`), '200')
  t.equal(await ask('PUT', ROLE), '404 ParentResourceNotFound')
  t.equal(await ask('PUT', VAULT, vault), '200')
  const upper = VAULT.toUpperCase().replace('/SUBSCRIPTIONS', '/subscriptions')
  t.equal(await ask('GET', upper), '200', 'in any case')
  t.equal(await ask('PUT', ROLE), '201')
  t.equal(await ask('PUT', LOCK), '200')
  t.equal(await ask('DELETE', ROLE), '409 ScopeLocked')
  t.equal(await ask('DELETE', VAULT), '409 ScopeLocked')
  t.equal(await ask('DELETE', LOCK), '200')
  t.equal(await ask('DELETE', VAULT), '200')
  t.equal(await ask('GET', ROLE), '404 ResourceNotFound', 'with all that is within it')
  t.equal(await ask('PUT', VAULT, vault), '409 AlreadyExists', 'as it can be recovered')
  t.equal(await ask('PUT', VAULT, { ...vault, properties: { createMode: 'recover' } }), '200')
  t.equal(await ask('POST', `${VAULT}/explode`), '404 ResourceNotFound')
  t.same(subscription.unknown, [`POST management.azure.com${VAULT}/explode`])

  t.equal(
    escapeExpressions('<a b="@(x["(>"] && y)">\n<c /></a>'),
    '<a b="@(x[&quot;(&gt;&quot;] &amp;&amp; y)">\r\n<c /></a>'
  )
}
