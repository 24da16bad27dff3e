import { startSystem } from '../test/system.ts'
import { wrongKeys } from './wrong-keys.ts'

// Figures as ratios, both sides measured in this run; each with a target on a line of its own

const system = await startSystem()
try {
  await wrongKeys(system)
} finally {
  await system.stop()
}
