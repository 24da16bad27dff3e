/** One line a figure, `name value target ok` or `… short`: a target is a bound that the value must not pass. */
export function figure (name: string, value: number, most?: number) {
  const verdict = most === undefined ? '- -' : `<=${most} ${value <= most ? 'ok' : 'short'}`
  process.stdout.write(`${name} ${Number(value.toPrecision(3))} ${verdict}\n`)
}

/** What a share of `values` does not pass. */
export function quantile (values: number[], share: number) {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!
}

export const median = (values: number[]) => quantile(values, 0.5)
