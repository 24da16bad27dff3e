import { startSystem } from '../test/system.ts'
import { coldStart } from './cold-start.ts'
import { startUp } from './start-up.ts'
import { telemetry } from './telemetry.ts'
import { wrongKeys } from './wrong-keys.ts'

// Figures as ratios, both sides measured in this run; each with a target on a line of its own. With names, those alone

const figures: Record<string, () => Promise<void>> = {
  telemetry,
  'start-up': startUp,
  'cold-start': coldStart,
  async 'wrong-keys' () {
    const system = await startSystem()
    try {
      await wrongKeys(system)
    } finally {
      await system.stop()
    }
  }
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !figures[name])
if (unknown.length > 0) {
  process.stderr.write(`npm run bench -- [NAME…], of ${Object.keys(figures).join(', ')}\n`)
  process.exit(1)
}
for (const name of names.length > 0 ? names : Object.keys(figures)) await figures[name]!()
