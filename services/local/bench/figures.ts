/** A bound that a value must not pass. */
export interface Target {
  text: string
  holds: (value: number) => boolean
}

export const atMost = (bound: number): Target => ({ text: `<=${bound}`, holds: (value) => value <= bound })
export const atLeast = (bound: number): Target => ({ text: `>=${bound}`, holds: (value) => value >= bound })

/** One line a figure, `name value target ok` or `… short`. */
export function figure (name: string, value: number, target?: Target) {
  const verdict = target ? `${target.text} ${target.holds(value) ? 'ok' : 'short'}` : '- -'
  process.stdout.write(`${name} ${Number(value.toPrecision(3))} ${verdict}\n`)
}

/** What a share of `values` does not pass. */
export function quantile (values: number[], share: number) {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!
}

export const median = (values: number[]) => quantile(values, 0.5)
