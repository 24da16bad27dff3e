import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { coldStart } from './cold-start.ts'
import { figures } from './figures.ts'
import { growth } from './growth.ts'
import { ingestion } from './ingestion.ts'
import { operationCosts } from './operations.ts'
import { register } from './register.ts'
import { start } from './start.ts'
import { telemetry } from './telemetry.ts'
import { wrongKeys } from './wrong-keys.ts'

// Prints ratios of figures measured in the same run, one a line with its target, and writes all of them to
// .artefacts/bench.json. With names, runs only those. `short` is one short round of operations and cold
// starts, to find errors.

const benches: Record<string, () => Promise<void>> = {
  operations: operationCosts,
  ingestion,
  growth,
  start,
  telemetry,
  'cold-start': coldStart,
  'wrong-keys': wrongKeys,
  register
}
async function short () {
  await operationCosts({ short: true })
  await coldStart({ short: true })
}
const commands: typeof benches = { ...benches, short }

const names = process.argv.slice(2)
if (!names.every((name) => Object.hasOwn(commands, name))) {
  process.stderr.write(`Usage: npm run bench -- [NAME…]\n\n  NAME  ${Object.keys(commands).join(', ')}\n`)
  process.exit(1)
}
for (const name of names.length > 0 ? names : Object.keys(benches)) await commands[name]!()

mkdirSync('.artefacts', { recursive: true })
writeFileSync('.artefacts/bench.json', JSON.stringify({
  date: new Date().toISOString(),
  machine: { processors: cpus().length, model: cpus()[0]?.model, kernel: release(), node: process.version },
  figures
}, null, 2))
