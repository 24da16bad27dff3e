import { Html, html } from './html.ts'
import type { PageFile } from './files.ts'

/** What all pages of one site share. */
export interface Site {
  /** Its name, in the masthead and in the title of each page. */
  name: string
  /** The path below which it is served, without a slash at its end; empty at the root. */
  base: string
  /** The shapes of its logo, in a box of 16 by 16. */
  logo: Html
  /** Its pages in the masthead, by path below `base`. */
  sections: Array<{ path: string, title: string }>
  /** Style sheets after the shared one, and scripts. */
  styles: PageFile[]
  scripts: PageFile[]
}

export interface Page {
  title: string
  /** The path of the section that the page belongs to. */
  section?: string
  /** What follows the sections in the masthead: a search field, who is signed in. */
  tools?: Html
  content: Html
}

/** A whole page of `site`. Elements with `data-live` and an id are refreshed by live.js. */
export function renderPage (site: Site, { title, section, tools, content }: Page): string {
  const { name, base, logo, sections, styles, scripts } = site
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title} · ${name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="${base}/icon.svg" type="image/svg+xml">
${styles.map(({ path }) => html`<link rel="stylesheet" href="${base}${path}">`)}
${scripts.map(({ path }) => html`<script src="${base}${path}" type="module"></script>`)}
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header class="masthead">
  <p class="brand"><svg viewBox="0 0 16 16" aria-hidden="true">${logo}</svg><span>${name}</span></p>
  ${sections.length > 0 && html`<nav aria-label="Pages">${sections.map(({ path, title }) =>
    html`<a href="${base}${path}"${path === section && html` aria-current="page"`}>${title}</a>`)}</nav>`}
  ${tools}
</header>
<main id="content" tabindex="-1">
${content}
</main>
</body>
</html>
`.text
}

/** The part of the masthead that shows whether the page refreshes itself, for pages with live.js. */
export const liveState = html`<div class="live"><span id="live-state" role="status"></span>
    <button id="live-toggle" type="button" hidden>Pause</button>
    <noscript><a href="">Reload</a></noscript></div>`
