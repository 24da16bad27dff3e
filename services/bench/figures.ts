/** A bound that a value must not pass. */
export interface Target {
  text: string
  holds: (value: number) => boolean
}

export const atMost = (bound: number): Target => ({ text: `<=${bound}`, holds: (value) => value <= bound })
export const atLeast = (bound: number): Target => ({ text: `>=${bound}`, holds: (value) => value >= bound })

/** What was printed: the median of its rounds, the least and the most. */
export interface Figure {
  name: string
  value: number
  min: number
  max: number
  target?: string
  ok?: boolean
}

export const figures: Figure[] = []

/** One line a figure, `name value target ok` or `… short`, behind it the least and the most where there were rounds. */
export function figure (name: string, values: number | number[], target?: Target) {
  const rounds = [values].flat()
  const value = median(rounds)
  const ok = target?.holds(value)
  const [min, max] = [Math.min(...rounds), Math.max(...rounds)]
  figures.push({ name, value, min, max, ...(target && { target: target.text, ok }) })
  const spread = rounds.length > 1 ? ` (${short(min)} to ${short(max)})` : ''
  process.stdout.write(`${name} ${short(value)} ${target ? `${target.text} ${ok ? 'ok' : 'short'}` : '- -'}${spread}\n`)
}

const short = (value: number) => Number(value.toPrecision(3))

/** What a share of `values` does not pass. */
export function quantile (values: number[], share: number) {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!
}

export const median = (values: number[]) => quantile(values, 0.5)
