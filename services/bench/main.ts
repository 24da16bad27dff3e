import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { startSystem } from '../test/system.ts'
import { coldStart } from './cold-start.ts'
import { figures } from './figures.ts'
import { growth } from './growth.ts'
import { ingestion } from './ingestion.ts'
import { operationCosts } from './operations.ts'
import { startUp } from './start-up.ts'
import { telemetry } from './telemetry.ts'
import { wrongKeys } from './wrong-keys.ts'

// Figures as ratios, both sides measured in this run; each with a target on a line of its own, all of them in
// .artefacts/bench.json. With names, those alone. `short` is one short round of the operations, for what fails.

const benches: Record<string, () => Promise<void>> = {
  operations: operationCosts,
  ingestion,
  growth,
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
const asked: typeof benches = { ...benches, short: () => operationCosts({ short: true }) }

const names = process.argv.slice(2)
const unknown = names.filter((name) => !asked[name])
if (unknown.length > 0) {
  process.stderr.write(`npm run bench -- [NAME…], of ${Object.keys(asked).join(', ')}\n`)
  process.exit(1)
}
for (const name of names.length > 0 ? names : Object.keys(benches)) await asked[name]!()

mkdirSync('.artefacts', { recursive: true })
writeFileSync('.artefacts/bench.json', JSON.stringify({
  date: new Date().toISOString(),
  machine: { processors: cpus().length, model: cpus()[0]?.model, kernel: release(), node: process.version },
  figures
}, null, 2))
