import { html } from '#common/pages/html.ts'
import { purposeNames } from '../names.ts'
import type { Credentials } from '../session.ts'
import { choice, field } from './forms.ts'
import { BASE, page } from './layout.ts'

const problems = {
  key: 'The key is not accepted. It must be the subscription key of an auditor, as API Management shows it.',
  token: 'The token is not accepted. Get a new one: tokens are valid for an hour or so.',
  onBehalfOf: 'A name has 1 to 128 letters (A to Z), digits or ._@:- and no blanks, as in ada.lovelace',
  purpose: 'Choose a purpose.',
  ended: 'The session has ended. Sign in again: the page that you asked for opens then.'
}
export type SignInProblem = keyof typeof problems

/** The form to sign in; `next` is the path that opens then. It never shows what was typed as key or token. */
export function signInPage (
  next: string, { onBehalfOf = '', purpose = 'HCOMPL' }: Partial<Credentials> = {}, problem?: SignInProblem
) {
  const noted = (name: SignInProblem) => ({ problem: problem === name ? problems[name] : undefined })
  const secret = (name: 'key' | 'token') => ({ type: 'password', maxlength: 3000, ...noted(name) })
  return page(undefined, {
    title: 'Sign in',
    content: html`<h1>Sign in to the audit register</h1>
${problem === 'ended' && html`<div class="notice" role="alert"><p>${problems.ended}</p></div>`}
<form class="form" method="post" action="${BASE}/sign-in">
<input type="hidden" name="next" value="${next}">
${field('key', 'Subscription key of an auditor, or an access token', '', {
  required: true, ...secret('key')
})}
${field('onBehalfOf', 'Your name in your organisation', onBehalfOf, {
  hint: 'A login or staff number of letters (A to Z), digits and ._@:- without blanks. It is recorded with ' +
    'each question that you ask.',
  title: problems.onBehalfOf,
  autocomplete: 'username',
  autocapitalize: 'none',
  required: true,
  maxlength: 128,
  pattern: '[A-Za-z0-9._@:\\-]{1,128}',
  ...noted('onBehalfOf')
})}
${choice('purpose', 'Why you ask', purposeNames, purpose, false)}
<details${problem === 'token' && html` open`}><summary>The gateway asks for an access token too</summary>
${field('token', 'Access token of Microsoft Entra ID', '', secret('token'))}</details>
<div class="actions"><button class="primary">Sign in</button></div>
</form>
<p class="faint small">Everything that you open here is recorded in the register itself. The page shows ids
and codes only: it has no way to the data of patients. The session ends after half an hour without use, and
after eight hours.</p>`
  })
}
