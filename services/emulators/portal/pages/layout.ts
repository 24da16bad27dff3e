import { pageFile, style } from '#common/pages/files.ts'
import { html, Html } from '#common/pages/html.ts'
import { renderPage, type Page, type Site } from '#common/pages/layout.ts'

const logo = new Html('<path d="M2 2h12v3H2zM2 6.5h5V14H2zM8.5 6.5H14V9H8.5zM8.5 10.5H14V14H8.5z"/>')

export const site: Site = {
  name: 'Patient API',
  base: '/portal',
  logo,
  sections: [
    { path: '', title: 'Overview' },
    { path: '/operations', title: 'Operations' },
    { path: '/quick-starts', title: 'Quick starts' },
    { path: '/errors', title: 'Errors' }
  ],
  styles: [style, pageFile(new URL('./portal.css', import.meta.url))],
  scripts: [pageFile(new URL('./portal.js', import.meta.url))]
}

export const page = (content: Page) => renderPage(site, content)

export function notFound () {
  return page({
    title: 'Not found',
    content: html`<h1>Page not found</h1><p><a href="/portal">Overview of the Patient API</a></p>`
  })
}

/** A block of text to copy, with a button that portal.js makes work. */
export function codeBlock (text: string, label: string) {
  return html`<div class="code">
    <pre tabindex="0" role="region" aria-label="${label}"><code>${text}</code></pre>
    <button type="button" class="copy" hidden>Copy<span class="unseen"> ${label}</span></button></div>`
}
