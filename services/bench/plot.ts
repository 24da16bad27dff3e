import { mkdirSync, writeFileSync } from 'node:fs'

export interface Plot {
  title: string
  x: { label: string, logarithmic?: boolean }
  y: { label: string }
  series: Array<{ name: string, points: Array<{ x: number, y: number }> }>
}

export interface Bars {
  title: string
  label: string
  /** Drawn as a line across. */
  bound?: number
  /** By group, a bar of each series: its median, the least and the most. */
  groups: Array<{ name: string, bars: Array<{ series: string, value: number, min: number, max: number }> }>
}

const DOCS = new URL('../../docs/', import.meta.url)
const WIDTH = 760
const HEIGHT = 380
const LEFT = 64
const RIGHT = 150
const TOP = 44
const BOTTOM = 52
// Distinguishable without their hue too. Source: Okabe and Ito, Color Universal Design
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00']

const right = WIDTH - RIGHT
const bottom = HEIGHT - BOTTOM

/** Draws lines into docs/NAME.svg. */
export function plot (name: string, { title, x, y, series }: Plot) {
  const points = series.flatMap(({ points }) => points)
  const across = x.logarithmic ? Math.log10 : (value: number) => value
  const [from, to] = [Math.min(...points.map(({ x }) => across(x))), Math.max(...points.map(({ x }) => across(x)))]
  const most = Math.max(...points.map(({ y }) => y)) * 1.1
  const toX = (value: number) => LEFT + (across(value) - from) / (to - from || 1) * (right - LEFT)
  const toY = (value: number) => bottom - value / most * (bottom - TOP)
  const lines = series.map(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length]!
    const path = points.map(({ x, y }, n) => `${n === 0 ? 'M' : 'L'}${round(toX(x))} ${round(toY(y))}`).join('')
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${points.map(({ x, y }) => `<circle cx="${round(toX(x))}" cy="${round(toY(y))}" r="3.5" fill="${colour}"/>`).join('')}${key(i, name, colour)}`
  })
  const ticks = [...new Set(points.map(({ x }) => x))].map((value) => text(toX(value), bottom + 18, value.toLocaleString('en'), 'middle'))
  write(name, title, [...grid(most, toY), ...ticks, text((LEFT + right) / 2, HEIGHT - 10, x.label, 'middle'), text(14, TOP - 6, y.label), ...lines])
}

/** Draws bars into docs/NAME.svg, each with the range of its rounds. */
export function bars (name: string, { title, label, bound, groups }: Bars) {
  const names = [...new Set(groups.flatMap(({ bars }) => bars.map(({ series }) => series)))]
  const most = Math.max(bound ?? 0, ...groups.flatMap(({ bars }) => bars.map(({ max }) => max))) * 1.1
  const toY = (value: number) => bottom - value / most * (bottom - TOP)
  const wide = (right - LEFT) / groups.length
  const drawn = groups.flatMap(({ name, bars }, g) => {
    const start = LEFT + g * wide
    const width = wide * 0.8 / bars.length
    return [
      text(start + wide / 2, bottom + 18, name, 'middle'),
      ...bars.map(({ series, value, min, max }, i) => {
        const at = start + wide * 0.1 + i * width
        const middle = round(at + width / 2)
        return `<rect x="${round(at)}" y="${round(toY(value))}" width="${round(width - 2)}" height="${round(bottom - toY(value))}" fill="${COLOURS[names.indexOf(series) % COLOURS.length]}"/>` +
          `<path d="M${middle} ${round(toY(min))}V${round(toY(max))}" class="range"/>`
      })
    ]
  })
  const line = bound === undefined ? [] : [`<path d="M${LEFT} ${round(toY(bound))}H${right}" class="bound"/>`, text(right + 8, toY(bound) + 4, `target ${bound}`)]
  write(name, title, [...grid(most, toY), ...drawn, ...line, text(14, TOP - 6, label), ...names.map((name, i) => key(i, name, COLOURS[i % COLOURS.length]!))])
}

function grid (most: number, toY: (value: number) => number) {
  const step = [0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000].find((step) => most / step <= 7) ?? most / 6
  const values = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => Number((i * step).toFixed(6)))
  return values.flatMap((value) => [`<path d="M${LEFT} ${round(toY(value))}H${right}" class="grid"/>`, text(LEFT - 8, toY(value) + 4, String(value), 'end')])
}

function key (i: number, name: string, colour: string) {
  const y = TOP + 24 + i * 20
  return `<rect x="${right + 8}" y="${y - 9}" width="10" height="10" fill="${colour}"/>${text(right + 24, y, name)}`
}

function text (x: number, y: number, words: string, anchor = 'start') {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`
}

const round = (value: number) => Math.round(value * 10) / 10

function write (name: string, title: string, parts: string[]) {
  mkdirSync(DOCS, { recursive: true })
  writeFileSync(new URL(`${name}.svg`, DOCS), `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.grid{stroke:#8884;fill:none}.bound{stroke:#c00;stroke-dasharray:5 4;fill:none}.range{stroke:#333;fill:none}@media(prefers-color-scheme:dark){text{fill:#ddd}.range{stroke:#ddd}}</style>
<text x="14" y="20" class="title">${title}</text>
${parts.join('\n')}
</svg>
`)
}
