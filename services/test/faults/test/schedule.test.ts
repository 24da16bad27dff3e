import { test } from 'tap'
import { describeFault, drawSchedule, steppedClocks } from '../schedule.ts'

const seeds = Array.from({ length: 200 }, (_, seed) => seed)

test('a seed has one schedule, of which a longer run begins with all', async (t) => {
  t.same(drawSchedule(7, 30), drawSchedule(7, 30))
  t.same(drawSchedule(7, 60).slice(0, drawSchedule(7, 30).length), drawSchedule(7, 30))
  t.not(JSON.stringify(drawSchedule(7, 30)), JSON.stringify(drawSchedule(8, 30)))
})

test('every kind of fault is drawn, and described on a line', async (t) => {
  const faults = seeds.flatMap((seed) => drawSchedule(seed, 60))
  const kinds = new Set(faults.map(({ kind }) => kind))
  t.same([...kinds].sort(), [
    'clock', 'cut', 'disk full', 'fence', 'half-open', 'kill', 'kill all', 'lost store', 'rotate', 'slow',
    'stop'
  ])
  t.same(faults.map(describeFault).filter((line) => !/^ *\d+\.\d\d s {2}\S.*$/.test(line)), [])
})

test('every run has each of the targeted faults', async (t) => {
  for (const seed of seeds) {
    const kinds = new Set(drawSchedule(seed, 60).map(({ kind }) => kind))
    t.ok(kinds.has('kill all') && kinds.has('lost store') && kinds.has('fence'), `seed ${seed}`)
  }
})

test('only clocks that a run prepares are changed', async (t) => {
  for (const seed of seeds) {
    const changed = drawSchedule(seed, 60).flatMap((fault) => fault.kind === 'clock' ? [fault.process] : [])
    t.ok(changed.every((name) => steppedClocks(seed).includes(name)))
  }
})
