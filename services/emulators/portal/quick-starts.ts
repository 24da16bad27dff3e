import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface QuickStart {
  name: string
  title: string
  file: string
  /** The commands that run it. */
  steps: string
  text: string
}

const QUICK_STARTS = [
  { name: 'curl', title: 'curl', file: 'quick-start.sh', steps: () => 'sh quick-start.sh' },
  {
    name: 'typescript',
    title: 'TypeScript',
    file: 'quick-start.ts',
    steps: (baseUrl: string) => `npm install openapi-fetch
npx openapi-typescript ${baseUrl}/portal/openapi/patient-types.json -o patient-api.d.ts
node quick-start.ts`
  },
  { name: 'python', title: 'Python', file: 'quick_start.py', steps: () => 'python3 quick_start.py' }
]

/** Reads the quick starts in `dir`: docs/quick-start. */
export function readQuickStarts (dir: string): (baseUrl: string) => QuickStart[] {
  const texts = QUICK_STARTS.map(({ file }) => readFileSync(join(dir, file), 'utf8'))
  return (baseUrl) => QUICK_STARTS.map((one, i) => ({ ...one, steps: one.steps(baseUrl), text: texts[i]! }))
}
