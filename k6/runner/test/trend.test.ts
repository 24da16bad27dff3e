import t from 'tap'
import { judge, residentMebibytes } from '../memory.ts'
import { leaks, slopeOf, type Point } from '../trend.ts'

/** A sample every two seconds for 15 minutes of 80 MiB, and what `more` adds after so many hours. */
function samples (more: (hours: number, i: number) => number) {
  return Array.from({ length: 450 }, (_, i): Point => [i / 1_800, 80 + more(i / 1_800, i)])
}

/** Noise that is the same at each run of the test. */
const noise = (i: number) => (i * 7_919 % 101) / 101 - 0.5

/** A heap that grows by 3 MiB and is collected then, every 40 s. */
const sawtooth = (i: number) => 3 * (i % 20) / 20

t.test('returns the slope and its standard error', async (t) => {
  // By hand: y = 1 + 0.6x, residuals -0.2, 0.2, 0.2, -0.2 whose autocorrelation is below zero
  const { slope, error } = slopeOf([[1, 1.4], [2, 2.4], [3, 3], [4, 3.2]])
  t.equal(slope.toFixed(3), '0.600')
  t.equal(error.toFixed(4), Math.sqrt(0.16 / 2 / 5 * 1).toFixed(4))
})

t.test('widens the error where samples are much like the ones before', async (t) => {
  const slow = samples((_, i) => Math.sin(i / 40))
  const quick = samples((_, i) => Math.sin(i * 40))
  t.ok(slopeOf(slow).error > 4 * slopeOf(quick).error)
})

t.test('finds a leak in the noise of a heap', async (t) => {
  t.ok(leaks(samples((hours, i) => 40 * hours + sawtooth(i) + noise(i))))
  t.match(judge('audit', samples((hours, i) => 40 * hours + sawtooth(i))), {
    line: /^audit: .* MiB resident, slope [34]\d\.\d MiB an hour/,
    problem: 'the memory of audit grows'
  })
})

t.test('takes no noise, no settling heap and no shrinking one for a leak', async (t) => {
  t.notOk(leaks(samples((_, i) => sawtooth(i) + noise(i))))
  t.notOk(leaks(samples((hours, i) => Math.min(hours, 0.1) * 100 + noise(i))))
  t.notOk(leaks(samples((hours, i) => -20 * hours + noise(i))))
  t.notOk(leaks(samples(() => 0)))
  const settling = samples((hours, i) => 30 * (1 - Math.exp(-60 * hours)) + noise(i))
  t.notOk(judge('patient', settling).problem, 'growth of the first minutes is left out')
})

t.test('does not judge a run that is too short', async (t) => {
  const line = 'gateway: the run was too short to judge its memory'
  t.strictSame(judge('gateway', samples(() => 0).slice(0, 10)), { line })
})

const skip = process.platform !== 'linux'
t.test('reads the memory of a process, and none of one that has ended', { skip }, async (t) => {
  const mebibytes = residentMebibytes(process.pid)!
  t.ok(Math.abs(mebibytes - process.memoryUsage.rss() / 2 ** 20) < 20)
  t.equal(residentMebibytes(2 ** 22 + 1), undefined)
})
