import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

// node docker/bundle.ts DIR NAME…: one file for each process named, with its source map, below DIR

const services = new URL('../services/', import.meta.url)

/** The module that each image runs, and the files that it reads beside itself. */
const processes: Record<string, { module: string, files?: string[] }> = {
  patient: { module: 'patient/main.ts' },
  audit: { module: 'audit/main.ts' },
  rotation: { module: 'rotation/main.ts' },
  gateway: { module: 'local/gateway/main.ts', files: ['global', 'product', 'patient', 'echo'].map((scope) => `../terraform/policies/${scope}.xml`) },
  vault: { module: 'local/vault/main.ts', files: ['local/vault/access.json'] },
  database: { module: 'local/database/main.ts' },
  setup: { module: 'local/compose/setup.ts' },
  provision: { module: 'local/compose/provision.ts' },
  register: { module: 'local/register.ts' }
}

// What CommonJS packages find in every module of theirs
const banner = "import{createRequire as $createRequire}from'node:module';const require=$createRequire(import.meta.url),$filename=import.meta.filename,$dirname=import.meta.dirname;"

const [dir, ...names] = process.argv.slice(2)
const unknown = names.filter((name) => !processes[name])
if (!dir || names.length === 0 || unknown.length > 0) {
  process.stderr.write(`node docker/bundle.ts DIR NAME…, of ${Object.keys(processes).join(', ')}\n`)
  process.exit(1)
}

for (const name of names) {
  const { module, files = [] } = processes[name]!
  const out = join(dir, name)
  mkdirSync(out, { recursive: true })
  await build({
    entryPoints: [new URL(module, services).pathname],
    outfile: join(out, 'main.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    banner: { js: banner },
    define: { __filename: '$filename', __dirname: '$dirname' },
    sourcemap: 'linked',
    sourcesContent: false,
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: 'warning'
  })
  for (const file of files) copyFileSync(new URL(file, services), join(out, file.split('/').at(-1)!))
  writeFileSync(join(out, 'package.json'), '{"type":"module"}\n')
}
