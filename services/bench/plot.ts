import { mkdirSync, writeFileSync } from 'node:fs'
import { median } from './figures.ts'

export interface Bar {
  name: string
  value: number
  min: number
  max: number
}

export interface Plot {
  title: string
  label: string
  /** Drawn as a line across. */
  bound?: number
  groups: Array<{ name: string, bars: Bar[] }>
}

const DOCS = new URL('../../docs/', import.meta.url)
const WIDTH = 760
const HEIGHT = 380
const LEFT = 64
const RIGHT = WIDTH - 150
const TOP = 44
const BOTTOM = HEIGHT - 52
// Distinguishable without their hue too. Source: Okabe and Ito, Color Universal Design
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00']
const STEPS = [0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]
const STYLE = `text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}
.grid{stroke:#8884;fill:none}.bound{stroke:#c00;stroke-dasharray:5 4;fill:none}.range{stroke:#333;fill:none}
@media(prefers-color-scheme:dark){text{fill:#ddd}.range{stroke:#ddd}}`

const round = (value: number) => Math.round(value * 10) / 10
const colour = (i: number) => COLOURS[i % COLOURS.length]!

/** A bar of the median, with the range of its rounds. */
export function bar (name: string, rounds: number[]): Bar {
  return { name, value: median(rounds), min: Math.min(...rounds), max: Math.max(...rounds) }
}

/** Draws groups of bars into docs/NAME.svg. */
export function draw (name: string, { title, label, bound, groups }: Plot) {
  const all = groups.flatMap(({ bars }) => bars)
  const keys = [...new Set(all.map(({ name }) => name))]
  const { toY, grid } = yAxis(Math.max(bound ?? 0, ...all.map(({ max }) => max)))
  const groupWidth = (RIGHT - LEFT) / groups.length
  const drawn = groups.flatMap(({ name, bars }, g) => {
    const start = LEFT + g * groupWidth
    const width = groupWidth * 0.8 / bars.length
    return [
      text(start + groupWidth / 2, BOTTOM + 18, name, 'middle'),
      ...bars.map(({ name, value, min, max }, i) => {
        const [x, y] = [start + groupWidth * 0.1 + i * width, toY(value)]
        const size = `width="${round(width - 2)}" height="${round(BOTTOM - y)}"`
        return `<rect x="${round(x)}" y="${y}" ${size} fill="${colour(keys.indexOf(name))}"/>` +
          `<path d="M${round(x + width / 2)} ${toY(min)}V${toY(max)}" class="range"/>`
      })
    ]
  })
  if (bound !== undefined) {
    drawn.push(`<path d="M${LEFT} ${toY(bound)}H${RIGHT}" class="bound"/>`)
    drawn.push(text(RIGHT + 8, toY(bound) + 4, `target ${bound}`))
  }
  write(name, title, [...grid, ...drawn, text(14, TOP - 6, label), ...keys.map((name, i) => key(i, name))])
}

/** An axis from zero to somewhat more than `highest`. */
function yAxis (highest: number) {
  const end = highest * 1.1
  const toY = (value: number) => round(BOTTOM - value / end * (BOTTOM - TOP))
  const step = STEPS.find((step) => end / step <= 7) ?? end / 6
  const values = Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => Number((i * step).toFixed(6)))
  const grid = values.flatMap((value) => [
    `<path d="M${LEFT} ${toY(value)}H${RIGHT}" class="grid"/>`,
    text(LEFT - 8, toY(value) + 4, String(value), 'end')
  ])
  return { toY, grid }
}

function key (i: number, name: string) {
  const y = TOP + 24 + i * 20
  const square = `<rect x="${RIGHT + 8}" y="${y - 9}" width="10" height="10" fill="${colour(i)}"/>`
  return square + text(RIGHT + 24, y, name)
}

function text (x: number, y: number, words: string, anchor = 'start') {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped}</text>`
}

function write (name: string, title: string, parts: string[]) {
  mkdirSync(DOCS, { recursive: true })
  const size = `viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}"`
  writeFileSync(new URL(`${name}.svg`, DOCS), `<svg xmlns="http://www.w3.org/2000/svg" ${size}>
<style>${STYLE}</style>
<text x="14" y="20" class="title">${title}</text>
${parts.join('\n')}
</svg>
`)
}
