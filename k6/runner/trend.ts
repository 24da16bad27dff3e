/** A value at a time. */
export type Point = readonly [hours: number, value: number]

/** Growth in MiB that a settled heap may still have. */
const TOLERANCE = 0.25

/**
 * The slope per hour of the line by least squares, and its standard error.
 *
 * Consecutive samples of memory are alike, so they say less than as many independent ones: the error is
 * widened for the autocorrelation r of the residuals by √((1 + r) / (1 − r)). Source: von Storch and Zwiers,
 * Statistical Analysis in Climate Research, 6.6.
 */
export function slopeOf (points: Point[]) {
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
  const x = sum(points.map(([x]) => x)) / points.length
  const y = sum(points.map(([, y]) => y)) / points.length
  const spread = sum(points.map((point) => (point[0] - x) ** 2))
  const slope = sum(points.map((point) => (point[0] - x) * (point[1] - y))) / spread
  const residuals = points.map((point) => point[1] - y - slope * (point[0] - x))
  const squares = sum(residuals.map((residual) => residual ** 2))
  const products = sum(residuals.slice(1).map((residual, i) => residual * residuals[i]!))
  const r = squares === 0 ? 0 : Math.min(0.99, Math.max(0, products / squares))
  return { slope, error: Math.sqrt(squares / (points.length - 2) / spread * (1 + r) / (1 - r)) }
}

/**
 * Whether values in MiB grow as by a leak: beyond noise over the whole time, and still in the second half,
 * when a heap without a leak has settled.
 */
export function leaks (points: Point[]) {
  const rises = (some: Point[], errors: number) => {
    const { slope, error } = slopeOf(some)
    return slope > errors * error && slope * (some.at(-1)![0] - some[0]![0]) > TOLERANCE
  }
  return rises(points, 3) && rises(secondHalf(points), 2)
}

export const secondHalf = (points: Point[]) => points.slice(Math.floor(points.length / 2))
