import { live, pageFile, style } from '#common/pages/files.ts'
import { html, Html } from '#common/pages/html.ts'
import { liveState, renderPage, type Page, type Site } from '#common/pages/layout.ts'

const logo = new Html('<rect x="1" y="2" width="14" height="3" rx="1.5"/>' +
  '<rect x="4" y="6.5" width="8" height="3" rx="1.5"/><rect x="7" y="11" width="5" height="3" rx="1.5"/>')

export const site: Site = {
  name: 'Monitor',
  base: '',
  logo,
  sections: [{ path: '/', title: 'Operations' }, { path: '/routes', title: 'Routes' }],
  styles: [style, pageFile(new URL('monitor.css', import.meta.url))],
  scripts: [live]
}

/** A whole page; `search` is the value of the search field. */
export function page ({ search, ...rest }: Omit<Page, 'tools'> & { search?: string }) {
  return renderPage(site, { ...rest, tools: html`${searchForm(search)}\n  ${liveState}` })
}

function searchForm (search: string | undefined) {
  return html`<form class="search" role="search" action="/" method="get">
    <label for="search" class="unseen">Operation id</label>
    <input id="search" name="id" type="search" value="${search}" placeholder="Operation id, or its beginning"
      autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="128" required>
    <button>Find</button>
  </form>`
}

export function notFound () {
  return page({ title: 'Not found', content: html`<h1>Page not found</h1><p><a href="/">Operations</a></p>` })
}
