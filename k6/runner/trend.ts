/** A value at a time, in hours. */
export type Point = readonly [hours: number, value: number]

/** What a heap may still take when it has long found its size. */
const NOTHING = 0.25

/**
 * The slope of the line by least squares, an hour, and its standard error.
 *
 * Memory at one moment is much like that a moment before, so that many samples know less than as many independent ones:
 * the error is widened for the autocorrelation r of the residuals by √((1 + r) / (1 − r)), as in von Storch and Zwiers,
 * Statistical Analysis in Climate Research, 6.6.
 */
export function slopeOf (points: Point[]) {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const spread = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
  const slope = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / spread
  const residuals = points.map((point) => point[1] - y - slope * (point[0] - x))
  const squares = residuals.reduce((sum, residual) => sum + residual ** 2, 0)
  const alike = squares === 0 ? 0 : residuals.slice(1).reduce((sum, residual, i) => sum + residual * residuals[i]!, 0) / squares
  const r = Math.min(0.99, Math.max(0, alike))
  return { slope, error: Math.sqrt(squares / (points.length - 2) / spread * (1 + r) / (1 - r)) }
}

/**
 * Whether values, in MiB, grow as by a leak: beyond what noise may be over the whole time, and in its second half still,
 * where a heap that finds its size grows less and less.
 */
export function leaks (points: Point[]) {
  const rises = (some: Point[], errors: number) => {
    const { slope, error } = slopeOf(some)
    return slope > errors * error && slope * (some.at(-1)![0] - some[0]![0]) > NOTHING
  }
  return rises(points, 3) && rises(secondHalf(points), 2)
}

export const secondHalf = (points: Point[]) => points.slice(Math.floor(points.length / 2))
