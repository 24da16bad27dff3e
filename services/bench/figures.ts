/** A bound for a value. */
export interface Target {
  text: string
  isMet: (value: number) => boolean
}

export const atMost = (bound: number): Target => ({ text: `<=${bound}`, isMet: (value) => value <= bound })
export const atLeast = (bound: number): Target => ({ text: `>=${bound}`, isMet: (value) => value >= bound })

/** One printed line: the median of the rounds, the least and the most. */
export interface Figure {
  name: string
  value: number
  min: number
  max: number
  target?: string
  ok?: boolean
}

export const figures: Figure[] = []

/** Prints `name value target ok` or `… below target`, then the least and the most of several rounds. */
export function figure (name: string, values: number | number[], target?: Target) {
  const rounds = [values].flat()
  const value = median(rounds)
  const ok = target?.isMet(value)
  const [min, max] = [Math.min(...rounds), Math.max(...rounds)]
  figures.push({ name, value, min, max, ...(target && { target: target.text, ok }) })
  const spread = rounds.length > 1 ? ` (${rounded(min)} to ${rounded(max)})` : ''
  const verdict = target ? `${target.text} ${ok ? 'ok' : 'below target'}` : '- -'
  process.stdout.write(`${name} ${rounded(value)} ${verdict}${spread}\n`)
}

const rounded = (value: number) => Number(value.toPrecision(3))

/** The value below which a `share` of `values` lies. */
export function quantile (values: number[], share: number) {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!
}

export const median = (values: number[]) => quantile(values, 0.5)
