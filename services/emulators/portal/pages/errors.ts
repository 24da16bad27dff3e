import { html } from '#common/pages/html.ts'
import { explainedErrors, gatewayErrors, type ExplainedError } from '../errors.ts'
import { page } from './layout.ts'

/** All errors, each with what it means and what to do. */
export function errorsPage () {
  return page({
    title: 'Errors',
    section: '/errors',
    content: html`<h1>Errors</h1>
<p class="lead">Services answer errors as <code>application/problem+json</code> (RFC 9457). Decide by
  <code>code</code>: texts may change. <code>traceId</code> identifies the request in logs and in the
  monitor. No error contains a value that was sent.</p>
<section aria-labelledby="of-services"><h2 id="of-services">By code</h2>${list(explainedErrors, '')}</section>
<section aria-labelledby="of-gateway"><h2 id="of-gateway">Of the gateway</h2>
<p>The gateway answers these before it calls a service, with <code>statusCode</code> and
  <code>message</code>.</p>
${list(gatewayErrors, 'statusCode-')}</section>`
  })
}

/** @param prefix of the ids that links lead to */
function list (errors: ExplainedError[], prefix: string) {
  return html`<dl class="errors">${errors.map(({ code, status, meaning, advice }) =>
    html`<div id="${prefix}${code}">
      <dt><code>${code}</code> ${code !== status && html`<span class="faint">${status}</span>`}</dt>
      <dd>${meaning}. <span class="advice">${advice}</span></dd></div>`)}</dl>`
}
