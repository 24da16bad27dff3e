import { html, type Html } from '#common/pages/html.ts'
import { documents, operations } from '../documents.ts'
import type { Keys } from '../keys.ts'
import type { State } from '../states.ts'
import { codeBlock, page } from './layout.ts'

interface Shown {
  baseUrl: string
  keys: Keys | undefined
  states: State[]
  monitorUrl: string | undefined
  hasAuditorPage: boolean
}

const ASK = html`<p>Ask the operator of this gateway for a subscription key. The operator of a system that
  runs on this machine finds the keys in the output of the start.</p>`

/** The first page: what the API is, how to send a key, and the state of the services. */
export function overviewPage ({ baseUrl, keys, states, monitorUrl, hasAuditorPage }: Shown) {
  const search = `curl -i ${baseUrl}/patient/search -H "Ocp-Apim-Subscription-Key: $KEY" -d '{}'`
  return page({
    title: 'Overview',
    section: '',
    content: html`<h1>Patient API</h1>
<p class="lead">${documents.patient.info.description}</p>
<div class="columns">
<section aria-labelledby="key"><h2 id="key">1. Get a key</h2>
${keys ? localKeys(keys) : ASK}
</section>
<section aria-labelledby="send"><h2 id="send">2. Send it with each request</h2>
<p>In the header <code>Ocp-Apim-Subscription-Key</code>. This finds all patients:</p>
${codeBlock(`${keys ? `KEY='${keys.client}'\n` : "KEY='your key'\n"}${search}`, 'a search with curl')}
<p>Or <a href="/portal/operations/create-patient">create a patient here</a>, or begin with a
  <a href="/portal/quick-starts">quick start</a> in curl, TypeScript or Python.</p>
</section>
<section aria-labelledby="state"><h2 id="state">State of the services</h2>
<ul class="states">${states.map(stateItem)}</ul>
<p class="faint">Checked when the page was loaded. <a href="/portal">Check again</a></p>
</section>
<section aria-labelledby="more"><h2 id="more">More</h2>
<ul class="plain">
  <li><a href="/portal/operations">${operations.length} operations</a>, each to try here</li>
  <li><a href="/portal/errors">What each error means</a>, by its code</li>
  <li>OpenAPI documents: <a href="/portal/openapi/patient.json">patients and test results</a>,
    <a href="/portal/openapi/audit.json">audit register</a></li>
  ${hasAuditorPage && html`<li><a href="/auditor">Auditor’s page</a>: who has seen the data of a
    patient</li>`}
  ${monitorUrl && html`<li><a href="${monitorUrl}">Monitor</a>: each request through all services</li>`}
</ul>
</section>
</div>`
  })
}

function localKeys ({ client, auditor }: Keys) {
  return html`<p>The system on this machine has these. They are filled in where they are needed.</p>
<dl class="keys">
  <div><dt>Patients and test results</dt><dd>${copyable(client, 'the key of a client')}</dd></div>
  <div><dt>Audit register</dt><dd>${copyable(auditor, 'the key of an auditor')}</dd></div>
</dl>`
}

function copyable (key: string | undefined, label: string): Html {
  return key === undefined ? html`none` : codeBlock(key, label)
}

function stateItem ({ name, isReady }: State) {
  return html`<li><span>${name}</span> <span class="badge ${isReady ? 'good' : 'bad'}">${
    isReady ? 'ready' : 'not ready'}</span></li>`
}
