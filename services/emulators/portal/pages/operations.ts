import { html } from '#common/pages/html.ts'
import { breakable } from '#common/pages/text.ts'
import { documents, operations, type Api } from '../documents.ts'
import { page } from './layout.ts'

/** All operations of both APIs, by their tags. */
export function operationsPage () {
  return page({
    title: 'Operations',
    section: '/operations',
    content: html`<h1>Operations</h1>
${(['patient', 'audit'] as const).map(apiSection)}`
  })
}

function apiSection (api: Api) {
  const { info, tags } = documents[api]
  return html`<section aria-labelledby="api-${api}"><h2 id="api-${api}" class="api">${info.title}</h2>
<p>${info.description} <a href="/portal/openapi/${api}.json">OpenAPI document<span class="unseen"> of the
  ${info.title}</span></a></p>
${tags.map(({ name, description }) => {
  const own = operations.filter((operation) => operation.api === api && operation.tag === name)
  return html`<h3>${description.split('. ')[0]}</h3>
<ul class="operations">${own.map(({ operationId, method, path, summary }) => html`<li>
  <a href="/portal/operations/${operationId}">${summary}</a>
  <code><span class="method">${method}</span> ${breakable(path)}</code></li>`)}</ul>`
})}</section>`
}
