import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Progress } from '../progress.ts'

function stream (terminal: { isTTY?: true, columns?: number } = {}) {
  const written: string[] = []
  return { written, write: (text: string | Uint8Array) => written.push(String(text)) > 0, ...terminal }
}

t.test('rate and time left', async (t) => {
  const progress = new Progress(stream(), 'Storing', 'resources', 10_000)
  progress.add(2_500)
  t.equal(progress.text(5_000), 'Storing 25 % 2,500 of 10,000 resources, 500 resources/s, 15 s left')
  progress.add(7_500)
  t.equal(progress.text(10_000), 'Storing 100 % 10,000 of 10,000 resources, 1,000 resources/s')
  const long = new Progress(stream(), 'Storing', 'resources', 100_001)
  long.add(1)
  t.match(long.text(1_000), /, 27 h 46 min left$/)
  t.match(new Progress(stream(), 'Reading', 'KiB', undefined).text(1_000), 'Reading 0 KiB, 0 KiB/s')
  t.match(new Progress(stream(), 'Reading', 'KiB', 0).text(1_000), 'Reading 100 %')
})

t.test('a bar on a terminal, in one line', async (t) => {
  const terminal = stream({ isTTY: true, columns: 50 })
  const progress = new Progress(terminal, 'Storing', 'resources', 100)
  progress.add(50)
  await sleep(250)
  progress.add(1)
  progress.end()
  const [first, last, end] = terminal.written
  t.match(first, /^\rStoring \[={12} {12}\] 51 % /)
  for (const text of [first, last]) t.ok(text!.length <= 1 + 49 + '\x1b[K'.length)
  t.equal(end, '\n')
})

t.test('lines elsewhere, seldom', async (t) => {
  const file = stream()
  const progress = new Progress(file, 'Storing', 'resources', 100)
  for (let i = 0; i < 100; i++) progress.add(1)
  t.strictSame(file.written, [])
  progress.end()
  t.match(file.written, [/^Storing 100 % 100 of 100 resources, \S+ resources\/s\n$/])
})
