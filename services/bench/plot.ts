import { mkdirSync, writeFileSync } from 'node:fs'
import { median } from './figures.ts'

/** The rounds of each bar, by the name of the bar. */
export interface Group {
  name: string
  bars: Record<string, number[]>
}

const DOCS = new URL('../../docs/', import.meta.url)
const [LEFT, RIGHT, TOP, BOTTOM] = [40, 590, 44, 340]
// Distinguishable without their hue too. Source: Okabe and Ito, Color Universal Design
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7']
const STYLE = `text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}
.grid{stroke:#8884}.bound{stroke:#c00;stroke-dasharray:5 4}.range{stroke:#333}
@media(prefers-color-scheme:dark){text{fill:#ddd}.range{stroke:#ddd}}`

/**
 * Draws groups of ratios into docs/NAME.svg: bars of the medians, with the ranges of the rounds.
 *
 * @param bound is drawn as a line across
 */
export function draw (name: string, title: string, groups: Group[], bound?: number) {
  const names = Object.keys(groups[0]!.bars)
  const highest = Math.max(bound ?? 0, ...groups.flatMap(({ bars }) => Object.values(bars).flat()))
  const y = (value: number) => Math.round(BOTTOM - value / highest * (BOTTOM - TOP))
  const line = (value: number, style: string) => `<path d="M${LEFT} ${y(value)}H${RIGHT}" class="${style}"/>`
  const step = highest > 3 ? 1 : 0.25
  const grid = Array.from({ length: Math.floor(highest / step) + 1 }, (_, i) =>
    line(i * step, 'grid') + text(4, y(i * step) + 4, String(i * step)))
  const key = names.map((name, i) =>
    rect(RIGHT + 8, TOP + 20 * i + 15, 10, 10, i) + text(RIGHT + 24, TOP + 20 * i + 24, name))
  const space = (RIGHT - LEFT) / groups.length
  const width = Math.floor(space * 0.8 / names.length)
  const drawn = groups.flatMap(({ name, bars }, g) => {
    const left = Math.round(LEFT + (g + 0.1) * space)
    return [text(left, BOTTOM + 18, name), ...Object.values(bars).map((rounds, i) => {
      const [x, top] = [left + i * width, y(median(rounds))]
      const range = `M${x + width / 2} ${y(Math.min(...rounds))}V${y(Math.max(...rounds))}`
      return `${rect(x, top, width - 2, BOTTOM - top, i)}<path d="${range}" class="range"/>`
    })]
  })
  if (bound !== undefined) drawn.push(line(bound, 'bound'), text(RIGHT + 8, y(bound) + 4, `target ${bound}`))
  mkdirSync(DOCS, { recursive: true })
  writeFileSync(new URL(`${name}.svg`, DOCS), `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 380">
<style>${STYLE}</style>
<text x="4" y="20" class="title">${title}</text>
${[...grid, ...drawn, ...key].join('\n')}
</svg>
`)
}

function rect (x: number, y: number, width: number, height: number, colour: number) {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${COLOURS[colour]}"/>`
}

function text (x: number, y: number, words: string) {
  return `<text x="${x}" y="${y}">${words}</text>`
}
