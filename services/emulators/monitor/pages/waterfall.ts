import { html, type Html } from '#common/pages/html.ts'
import { breakable, definitions, ms } from '#common/pages/text.ts'
import type { Item } from '../envelope.ts'
import type { Node } from '../tree.ts'
import { colourOf, nameOf, roleTag } from './text.ts'

const MAX_INDENT = 10
/** The minimum width of a bar, in percent of the whole. */
const MIN_WIDTH = 0.35

/** The items of an operation as nested rows, each with a bar for its start and duration. */
export function waterfall (tree: Node[], totalMs: number) {
  const quarter = (n: number) => n === 0 ? 0 : ms(totalMs * n / 4)
  const ticks = [0, 1, 2, 3].map((n) => html`<span>${quarter(n)}</span>`)
  return html`<p class="legend faint"><span><span class="sample"></span> request</span>
<span><span class="sample call"></span> dependency</span>
<span><span class="sample moment"></span> log, event, exception</span></p>
<div class="waterfall">
<div class="axis" aria-hidden="true"><span></span><span class="ticks">${ticks}</span>
<span class="figure">${ms(totalMs)}</span></div>
${branch(tree, totalMs)}
</div>`
}

function branch (nodes: Node[], totalMs: number, depth = 0): Html {
  return html`<ol>${nodes.map((node) => {
    const children = node.children.length > 0 && branch(node.children, totalMs, depth + 1)
    return html`<li>${row(node, totalMs, depth)}${children}</li>`
  })}</ol>`
}

function row ({ item, offsetMs, orphan, origin }: Node, totalMs: number, depth: number) {
  const { id, kind, name, role, time, durationMs, failed } = item
  const indent = `depth-${Math.min(depth, MAX_INDENT)}`
  const key = id ?? `${kind} ${time} ${name.slice(0, 64)}`
  return html`<details data-key="${key}" class="${kind}${failed && ' failed'}${origin && ' origin'}">
<summary>
<span class="label ${indent}"><span class="name">${breakable(nameOf(item))}</span>
<span class="tags">${roleTag(role)}
<span class="kind">${kindOf(item)}</span>${result(item, origin)}</span></span>
<span class="track ${colourOf(role)}">
<svg class="bar" width="100%" height="14" aria-hidden="true">${bar(item, offsetMs, totalMs)}</svg></span>
<span class="timing">${hasDuration(item) && html`<span class="took">${ms(durationMs)}</span> `}
<span class="offset">+${ms(offsetMs, 0)}</span></span>
</summary>
<dl class="attributes ${indent}">${definitions(attributesOf(item, orphan))}</dl>
</details>`
}

function result ({ failed, resultCode }: Item, origin: boolean) {
  if (failed) return html` <span class="badge bad">${origin ? 'Failed here' : 'Failed'} ${resultCode}</span>`
  return resultCode && html` <span class="code">${resultCode}</span>`
}

function hasDuration ({ kind }: Item) {
  return kind === 'request' || kind === 'dependency'
}

function bar (item: Item, offsetMs: number, totalMs: number) {
  const percent = (part: number) => totalMs === 0 ? 0 : Math.min(100, 100 * part / totalMs)
  const start = percent(offsetMs)
  if (!hasDuration(item)) {
    return html`<circle cx="${Math.min(99.3, Math.max(0.7, start)).toFixed(2)}%" cy="7" r="4"/>`
  }
  const width = totalMs === 0 ? 100 : Math.max(MIN_WIDTH, percent(item.durationMs))
  const x = Math.min(start, 100 - width)
  return html`<rect x="${x.toFixed(2)}%" y="2" width="${width.toFixed(2)}%" height="10" rx="2"/>`
}

function kindOf ({ kind, type, target, severity }: Item) {
  if (kind === 'dependency') return ['dependency', type, target].filter(Boolean).join(' ')
  return kind === 'message' ? severity ?? 'log' : kind
}

function attributesOf ({ id, parentId, time, severity, weight, attributes }: Item, orphan: boolean) {
  const own: Array<[string, string | undefined]> = [
    ['time', new Date(time).toISOString()],
    ['id', id],
    ['parent', parentId && orphan ? `${parentId} (not in this operation)` : parentId],
    ['severity', severity],
    ['sampled', weight === 1 ? undefined : `represents ${Math.round(weight * 100) / 100} items`]
  ]
  const unindented = attributes.map(([name, value]): [string, string] =>
    [name, name === 'stack' ? value.replace(/^[ \t]+/gm, '') : value])
  return [...own, ...unindented]
}
