import t from 'tap'
import { filesInNoGroup, runTogether } from './contract/together.ts'

t.test('every test file of the contract is in a group', async (t) => {
  t.strictSame(filesInNoGroup(), [])
})

await runTogether('plain')
