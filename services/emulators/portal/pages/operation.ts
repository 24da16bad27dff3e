import { html } from '#common/pages/html.ts'
import { breakable } from '#common/pages/text.ts'
import { acceptable, resolve, type Operation, type Parameter } from '../documents.ts'
import type { Keys } from '../keys.ts'
import { page } from './layout.ts'
import { constraintsOf, properties } from './schema.ts'

/**
 * An operation with a form that sends it from the browser.
 *
 * @param keys are filled in
 */
export function operationPage (operation: Operation, keys: Keys | undefined, monitorUrl: string | undefined) {
  const { summary, method, path, description, body, responses, api } = operation
  return page({
    title: summary,
    section: '/operations',
    content: html`<p class="eyebrow"><a href="/portal/operations">Operations</a></p>
<h1>${summary}</h1>
<p class="route"><code><span class="method">${method}</span> ${breakable(path)}</code></p>
${description && html`<p class="lead">${description}</p>`}
<div class="split">
<section aria-labelledby="try"><h2 id="try">Try it</h2>${form(operation, keys, monitorUrl)}</section>
<section aria-labelledby="about"><h2 id="about">Reference</h2>
${body?.schema && html`<h3>Body</h3>${properties(api, body.schema)}`}
<h3>Responses</h3>
<dl class="responses">${Object.entries(responses).map(([status, { description }]) =>
  html`<div><dt><span class="badge ${status < '400' ? 'good' : 'bad'}">${status}</span></dt>
    <dd>${description.split('; ').map((part) => html`<p>${linked(part)}</p>`)}</dd></div>`)}</dl>
</section>
</div>`
  })
}

/** A description of an error, whose code leads to its explanation. */
function linked (part: string) {
  const [, code, rest] = /^([A-Z][A-Z_]+)(: .*)$/.exec(part) ?? []
  return code === undefined ? part : html`<a href="/portal/errors#${code}"><code>${code}</code></a>${rest}`
}

function form (operation: Operation, keys: Keys | undefined, monitorUrl: string | undefined) {
  const { method, path, parameters, body, product } = operation
  const key = keys?.[product]
  const types = acceptable(operation)
  const today = new Date().toISOString().slice(0, 10)
  const isNeeded = (parameter: Parameter) => {
    return parameter.required || parameter.in === 'path' || periodOf(parameter, today) !== undefined
  }
  const needed = parameters.filter(isNeeded)
  const others = parameters.filter((parameter) => !isNeeded(parameter))
  return html`<form class="try" data-method="${method}" data-path="${path}" data-product="${product}"
  ${monitorUrl && html`data-monitor="${monitorUrl}"`} autocomplete="off">
<div class="field"><label for="key">Subscription key</label>
  <input id="key" name="key" value="${key}" required spellcheck="false" autocapitalize="none"
    aria-describedby="key-hint">
  <p id="key-hint" class="hint">${key
    ? `Filled in on this machine: the key of ${product === 'client' ? 'a client' : 'an auditor'}`
    : `Of the product ${product}; kept in this tab only`}</p></div>
${needed.map((parameter) => field(operation, parameter, periodOf(parameter, today)))}
${types.length > 1 && html`<div class="field"><label for="accept">Accept</label>
  <select id="accept" name="accept">${types.map((type) => html`<option>${type}</option>`)}</select></div>`}
${body && html`<div class="field"><label for="body">Body</label>
  <textarea id="body" name="body" rows="12" spellcheck="false">${
    JSON.stringify(exampleOf(operation), null, 2)}</textarea></div>`}
${others.length > 0 && html`<details><summary>${others.length} optional parameters</summary>
${others.map((parameter) => field(operation, parameter))}</details>`}
<p><button type="submit" class="primary" disabled>Send</button>
<noscript><span class="hint">Sending needs JavaScript; the command on the first page does
  without.</span></noscript></p>
</form>
<div id="response" role="status"></div>`
}

function exampleOf ({ api, body }: Operation) {
  const { example } = resolve(api, body?.schema ?? {}) as { example?: unknown }
  return body?.example ?? example ?? {}
}

/** The register wants a period: the whole day, in UTC. Undefined for other parameters. */
function periodOf ({ name, schema: { format } }: Parameter, today: string) {
  if (format !== 'date-time') return undefined
  return { from: `${today}T00:00:00Z`, to: `${today}T23:59:59.999Z` }[name]
}

function field (
  { api }: Operation, { name, in: place, required, description, schema }: Parameter, value?: string
) {
  const id = `${place}-${name === '*' ? 'rest' : name}`
  const { enum: values, ...resolved } = resolve(api, schema)
  const isRequired = (required || place === 'path') && html` required`
  const input = values
    ? html`<select id="${id}" name="${name}" data-in="${place}"${isRequired}
    aria-describedby="${id}-hint">
    <option value=""></option>${values.map((value) => html`<option>${String(value)}</option>`)}</select>`
    : html`<input id="${id}" name="${name}" data-in="${place}"${value && html` value="${value}"`}${isRequired}
    spellcheck="false" autocapitalize="none" aria-describedby="${id}-hint">`
  const hint = [place === 'query' ? '' : place, description, constraintsOf(resolved)]
    .filter(Boolean).join(' · ')
  return html`<div class="field"><label for="${id}">${name === '*' ? 'rest of the path' : name}</label>
  ${input}<p id="${id}-hint" class="hint">${hint}</p></div>`
}
