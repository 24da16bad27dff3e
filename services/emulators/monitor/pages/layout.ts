import { html, Html } from '../html.ts'

export type Section = 'operations' | 'routes'

const sections: Array<[name: Section, path: string, title: string]> = [
  ['operations', '/', 'Operations'],
  ['routes', '/routes', 'Routes']
]

interface Page {
  title: string
  section?: Section
  /** The value of the search field. */
  search?: string
  content: Html
}

const logo = new Html('<rect x="1" y="2" width="14" height="3" rx="1.5"/>' +
  '<rect x="4" y="6.5" width="8" height="3" rx="1.5"/><rect x="7" y="11" width="5" height="3" rx="1.5"/>')

export const icon = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">' +
  `<g fill="#3558c9">${logo}</g></svg>`

/** A whole page. Elements with `data-live` and an id are refreshed by monitor.js. */
export function page ({ title, section, search, content }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title} · Monitor</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/monitor.css">
<script src="/monitor.js" type="module"></script>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header class="masthead">
  <p class="brand"><svg viewBox="0 0 16 16" aria-hidden="true">${logo}</svg><span>Monitor</span></p>
  <nav aria-label="Pages">${sections.map(([name, path, label]) =>
    html`<a href="${path}"${name === section && html` aria-current="page"`}>${label}</a>`)}</nav>
  <form class="search" role="search" action="/" method="get">
    <label for="search" class="unseen">Operation id</label>
    <input id="search" name="id" type="search" value="${search}" placeholder="Operation id, or its beginning"
      autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="128" required>
    <button>Find</button>
  </form>
  <div class="live"><span id="live-state" role="status"></span>
    <button id="live-toggle" type="button" hidden>Pause</button>
    <noscript><a href="">Reload</a></noscript></div>
</header>
<main id="content" tabindex="-1">
${content}
</main>
</body>
</html>
`.text
}

export function notFound () {
  return page({ title: 'Not found', content: html`<h1>Page not found</h1><p><a href="/">Operations</a></p>` })
}
