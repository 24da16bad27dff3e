import { html } from '#common/pages/html.ts'
import type { QuickStart } from '../quick-starts.ts'
import { codeBlock, page } from './layout.ts'

/**
 * The quick starts.
 *
 * @param settings the lines that set the address and the key
 */
export function quickStartsPage (quickStarts: QuickStart[], settings: string) {
  return page({
    title: 'Quick starts',
    section: '/quick-starts',
    content: html`<h1>Quick starts</h1>
<p class="lead">Each creates a patient once, even if a request is repeated, waits as long as
  <code>Retry-After</code> says, stores a test result, and finds the patient again. Set the address and the
  key first:</p>
${codeBlock(settings, 'the settings')}
${quickStarts.map(({ name, title, steps, file, text }) =>
  html`<section aria-labelledby="${name}"><h2 id="${name}">${title}</h2>
${codeBlock(steps, `the commands for ${title}`)}
<h3>${file}</h3>
${codeBlock(text, file)}
</section>`)}`
  })
}
