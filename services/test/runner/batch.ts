import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { useTest } from './hooks.ts'

// Runs the files of TEST_FILES, separated by commas, one after another in this process: a process for each
// would spend more time on loading than on testing.

for (const file of process.env.TEST_FILES!.split(',')) {
  const { href } = pathToFileURL(join(import.meta.dirname, '../../..', file))
  t.test(file, async (t) => {
    useTest(href, t)
    await import(href)
  })
}
