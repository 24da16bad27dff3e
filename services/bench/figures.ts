/** A bound for a value. */
export interface Target {
  text: string
  isMet: (value: number) => boolean
}

export const atMost = (bound: number): Target => ({ text: `<=${bound}`, isMet: (value) => value <= bound })
export const atLeast = (bound: number): Target => ({ text: `>=${bound}`, isMet: (value) => value >= bound })

/** One printed line: the median of the rounds, the least and the most. */
interface Figure {
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

/** Each value divided by the one of the same round in `reference`. */
export function ratios (values: number[], reference: number[]) {
  return values.map((value, i) => value / reference[i]!)
}

/**
 * Measures all `names` in each round, in the opposite order in every other one.
 *
 * @param warmUps rounds before the first one, which are left out of the result
 */
export async function inTurns<N extends string, M> (
  names: N[], rounds: number, measure: (name: N) => Promise<M>, warmUps = 0
) {
  const measured = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<N, M[]>
  for (let round = -warmUps; round < rounds; round++) {
    for (const name of round % 2 ? names.toReversed() : names) {
      const result = await measure(name)
      if (round >= 0) measured[name].push(result)
    }
  }
  return measured
}
