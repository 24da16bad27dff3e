import { pageFile, style } from '#common/pages/files.ts'
import { Html, html } from '#common/pages/html.ts'
import { renderPage, type Page, type Site } from '#common/pages/layout.ts'
import type { Session } from '../session.ts'

// A shield with a tick cut out
const logo = new Html('<path fill-rule="evenodd" d="M8 1 2 3.5v4C2 11 4.5 14 8 15c3.5-1 6-4 6-7.5v-4z' +
  'M7.2 10.8 4.5 8.1 5.6 7l1.6 1.6 3.3-3.3 1.1 1.1z"/>')

export const BASE = '/auditor'

export const site: Site = {
  name: 'Audit',
  base: BASE,
  logo,
  sections: [
    { path: '', title: 'Overview' },
    { path: '/records', title: 'Records' },
    { path: '/findings', title: 'Findings' },
    { path: '/integrity', title: 'Integrity' }
  ],
  styles: [style, pageFile(new URL('auditor.css', import.meta.url))],
  scripts: [pageFile(new URL('auditor.js', import.meta.url))]
}

/** A whole page; without a session, it has no sections. */
export function page (session: Session | undefined, content: Omit<Page, 'tools'>) {
  const shown = session ? site : { ...site, sections: [] }
  return renderPage(shown, { ...content, ...(session && { tools: tools(session) }) })
}

function tools ({ onBehalfOf }: Session) {
  return html`<form class="search" role="search" action="${BASE}/patients" method="get">
    <label for="search" class="unseen">Patient id</label>
    <input id="search" name="id" type="search" placeholder="Patient id" autocomplete="off"
      autocapitalize="none" spellcheck="false" maxlength="64" required>
    <button>Open</button>
  </form>
  <form class="person" action="${BASE}/sign-out" method="post"><span>${onBehalfOf}</span>
    <button>Sign out</button></form>`
}
