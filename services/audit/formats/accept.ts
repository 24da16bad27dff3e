/** A media type of an Accept header, with its weight. */
interface Range {
  type: string
  weight: number
}

/**
 * The one of the media types `offered` that an Accept header (RFC 9110, 12.5.1) prefers, the first without a
 * header; undefined if it accepts none.
 */
export function preferredType<T extends string> (
  accept: string | undefined, offered: readonly T[]
): T | undefined {
  if (accept === undefined) return offered[0]
  const ranges = accept.split(',').map(rangeOf)
  const weights = offered.map((type) => weightOf(type, ranges))
  const best = Math.max(...weights)
  return best > 0 ? offered[weights.indexOf(best)] : undefined
}

function rangeOf (text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
  return { type, weight: weight === undefined ? 1 : Number(weight) || 0 }
}

/** The weight of the most specific range that has the type; 0 if none has. */
function weightOf (type: string, ranges: Range[]) {
  for (const name of [type, `${type.split('/')[0]}/*`, '*/*']) {
    const range = ranges.find((one) => one.type === name)
    if (range) return range.weight
  }
  return 0
}
