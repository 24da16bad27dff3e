import { html, type Html } from '#common/pages/html.ts'
import { count } from '#common/pages/text.ts'
import { GatewayError } from '../errors.ts'
import type { Session } from '../session.ts'
import { BASE, page } from './layout.ts'

interface Advice {
  title: string
  advice: Html
}

const wait = (seconds: number | undefined) => seconds === undefined ? 'a moment' : count(seconds, 'second')

/** By status, what the page says and what a person can do. */
function adviceOf ({ statusCode, detail, violations, retryAfter }: GatewayError): Advice {
  switch (statusCode) {
    case 400:
      return {
        title: 'The question is not valid',
        advice: html`<p>${detail || 'The register refuses it.'}</p>
${violations.length > 0 && html`<ul>${violations.map(({ pointer, message }) => {
  return html`<li><strong>${pointer.split('/').at(-1)}</strong> ${message}</li>`
})}</ul>`}
<p>Go back and change it.</p>`
      }
    case 403:
      return {
        title: 'The key has no calls left', advice: html`<p>${detail}</p>
<p>Ask the operator of the gateway for a larger quota, or try again when it is replenished.</p>`
      }
    case 404:
      return {
        title: 'Not found', advice: html`<p>The register does not have it. Check the id; a record that was
stored a moment ago may not be in the log yet: try again in a few seconds. An old record may have been
archived: ask the operator for the archive.</p>`
      }
    case 409:
      return {
        title: 'This is not possible now', advice: html`<p>${detail || 'It was changed meanwhile.'}</p>
<p>Reload the page and see how it is now.</p>`
      }
    case 412:
    case 428:
      return {
        title: 'Somebody else was faster', advice: html`<p>${detail || 'It was changed meanwhile.'}</p>
<p>Reload the page and see what has changed before you decide.</p>`
      }
    case 413:
      return {
        title: 'Too many records', advice: html`<p>${detail}</p>
<p>Choose a shorter time, or more filters.</p>`
      }
    case 429:
      return {
        title: 'Too many questions', advice: html`<p>The key may ask again in ${wait(retryAfter)}. Reload the
page then.</p>`
      }
    default:
      return {
        title: 'The register is not available',
        advice: html`<p>Nothing is lost: records are stored before
anything is disclosed. Reload the page in ${wait(retryAfter)}; if this lasts, tell the operator.</p>`
      }
  }
}

/** What to do about what the gateway answered. */
export function problemPage (session: Session | undefined, error: GatewayError) {
  const { title, advice } = adviceOf(error)
  const { statusCode, code, traceId } = error
  return page(session, {
    title,
    content: html`<h1>${title}</h1>
<div class="notice bad" role="alert">${advice}</div>
<p class="faint small">Status ${statusCode}${code && ` · ${code}`} · Operation
<span class="id">${traceId}</span></p>
<p><a href="${BASE}">Overview</a></p>`
  })
}

/** A problem of the page itself: a path that it does not have, a form of another site, a defect. */
export function ownProblemPage (
  session: Session | undefined, statusCode: number, message: string, traceId: string
) {
  const isDefect = statusCode >= 500
  return page(session, {
    title: isDefect ? 'The page has a defect' : message,
    content: html`<h1>${isDefect ? 'The page has a defect' : message}</h1>
${isDefect && html`<p>Tell the operator, with this operation: <span class="id">${traceId}</span></p>`}
<p><a href="${BASE}">Overview</a></p>`
  })
}
