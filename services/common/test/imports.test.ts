import { test } from 'tap'
import { build } from 'esbuild'

const services = new URL('../../', import.meta.url).pathname
const processes = [
  'rotation/main.ts', 'witness/main.ts', 'auditor/main.ts', 'emulators/gateway/main.ts',
  'emulators/ingress/main.ts', 'emulators/vault/main.ts'
]
const withDatabase = ['patient/app.ts', 'audit/main.ts', 'emulators/monitor/main.ts']
const AZURE = /^(@azure\/|applicationinsights$)/

/** The packages that `main` and its modules import statically. */
async function packagesOf (main: string) {
  const { metafile: { inputs } } = await build({
    entryPoints: [main],
    absWorkingDir: services,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    write: false,
    metafile: true,
    outdir: 'out'
  })
  const packages = new Set<string>()
  const modules = [main]
  for (const module of modules) {
    for (const { path, kind, external } of inputs[module]!.imports) {
      if (kind !== 'import-statement') continue
      if (external) packages.add(path)
      else if (!modules.includes(path)) modules.push(path)
    }
  }
  return [...packages]
}

test('a process loads the MongoDB driver only if it opens a database', async (t) => {
  const without = [...processes, 'cli/rotate.ts', 'emulators/vault/test/client.ts']
  for (const module of without) t.notOk((await packagesOf(module)).includes('mongodb'), module)
  for (const module of withDatabase) t.ok((await packagesOf(module)).includes('mongodb'), module)
})

test('no process loads an SDK of Azure before it needs it', async (t) => {
  for (const module of [...processes, ...withDatabase]) {
    t.strictSame((await packagesOf(module)).filter((name) => AZURE.test(name)), [], module)
  }
})
