import { runTogether } from './contract/together.ts'

await runTogether('failing')
