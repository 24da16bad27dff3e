import { readFile } from 'node:fs/promises'
import { test } from 'tap'
import { StartSettings } from '../system/config.ts'

test('docs/settings.md lists every setting of npm start, and no other one', async (t) => {
  const text = await readFile(new URL('../../../docs/settings.md', import.meta.url), 'utf8')
  const [ofStart] = text.split('\n## ')
  const cells = ofStart!.split('\n').map((line) => /^\| (`[A-Z].*?) \|/.exec(line)?.[1] ?? '')
  const listed = cells.flatMap((cell) => Array.from(cell.matchAll(/`(\w+)`/g), ([, name]) => name))
  t.strictSame(listed.sort(), Object.keys(StartSettings.properties).sort())
})
