import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, parse } from 'node:path'
import { build, type BuildOptions, type Plugin } from 'esbuild'

// node docker/bundle.ts DIR NAME…: bundles each named process into a directory below DIR; main.mjs runs it

const services = new URL('../services/', import.meta.url)

/** The thread that exports telemetry. */
const exporter = 'common/telemetry/exporter.ts'

interface Process {
  module: string
  /** The modules of its threads and jobs, each bundled into a file of its own. */
  modules?: string[]
  /** The files that it reads from its own directory. */
  files?: string[]
}

const policies = ['global.xml', 'product.xml', 'patient.xml', 'echo.xml', 'auditor.xml', 'products.json']
  .map((name) => `../terraform/policies/${name}`)
const quickStarts = ['quick-start.sh', 'quick-start.ts', 'quick_start.py']
  .map((name) => `../docs/quick-start/${name}`)
const portal = ['portal.css', 'portal.js'].map((name) => `emulators/portal/pages/${name}`)
const pages = ['style.css', 'live.js'].map((name) => `common/pages/${name}`)
const checkProof = ['main.go', 'go.mod', 'go.sum'].map((name) => `../docs/check-proof/${name}`)

const processes: Record<string, Process> = {
  patient: { module: 'patient/main.ts', modules: [exporter] },
  audit: { module: 'audit/main.ts', modules: [exporter, 'audit/sequence-job.ts'], files: checkProof },
  witness: { module: 'witness/main.ts', modules: [exporter] },
  rotation: { module: 'rotation/main.ts' },
  auditor: {
    module: 'auditor/main.ts',
    modules: [exporter],
    files: [...pages, 'auditor/pages/auditor.css', 'auditor/pages/auditor.js']
  },
  gateway: {
    module: 'emulators/gateway/main.ts',
    modules: [exporter],
    files: [...policies, ...pages, ...portal, ...quickStarts]
  },
  ingress: { module: 'emulators/ingress/main.ts' },
  vault: { module: 'emulators/vault/main.ts' },
  monitor: { module: 'emulators/monitor/main.ts', files: [...pages, 'emulators/monitor/pages/monitor.css'] },
  database: { module: 'emulators/mongodb/main.ts' },
  setup: { module: 'cli/compose/setup.ts' },
  provision: { module: 'cli/compose/provision.ts' },
  register: { module: 'cli/register.ts' },
  verify: { module: 'cli/register-verify.ts' },
  // The baseline of the start-up bench
  bare: { module: 'bench/bare.ts' }
}

// CommonJS packages use these variables
const banner = [
  "import{createRequire as $createRequire}from'node:module';",
  'const require=$createRequire(import.meta.url),$filename=import.meta.filename,$dirname=import.meta.dirname;'
].join('')

// It maps the first line only, which the plugin leaves empty; esbuild ignores a map that maps nothing
const EMPTY_MAP = Buffer.from('{"version":3,"sources":["package"],"mappings":"AAAA"}').toString('base64')

/** Leaves packages out of the source maps, which Node reads at the start: theirs would take 140 ms. */
const ownSourceMaps: Plugin = {
  name: 'own-source-maps',
  setup ({ onLoad }) {
    onLoad({ filter: /\/node_modules\/.*\.([cm]?js|json)$/ }, ({ path }) => {
      const code = `${path.endsWith('.json') ? 'module.exports=' : ''}${readFileSync(path, 'utf8')}`
      const map = `//# sourceMappingURL=data:application/json;base64,${EMPTY_MAP}`
      return { contents: `\n${code}\n${map}`, loader: 'js' }
    })
  }
}

const [dir, ...names] = process.argv.slice(2)
const unknown = names.filter((name) => !processes[name])
if (!dir || names.length === 0 || unknown.length > 0) {
  process.stderr.write(`node docker/bundle.ts DIR NAME…, of ${Object.keys(processes).join(', ')}\n`)
  process.exit(1)
}

const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node26',
  banner: { js: banner },
  define: { __filename: '$filename', __dirname: '$dirname' },
  logLevel: 'warning'
} satisfies BuildOptions

for (const name of names) {
  const { module, modules = [], files = [] } = processes[name]!
  const out = join(dir, name)
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  await build({
    ...common,
    entryPoints: { main: new URL(module, services).pathname },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    // What is imported dynamically has files of its own, which are read only then
    splitting: true,
    chunkNames: '[name]-[hash]',
    sourcemap: 'linked',
    sourcesContent: false,
    plugins: [ownSourceMaps],
    minifySyntax: true,
    minifyWhitespace: true
  })
  for (const entry of modules) {
    await build({
      ...common,
      entryPoints: [new URL(entry, services).pathname],
      outfile: join(out, `${parse(entry).name}.mjs`),
      minify: true
    })
  }
  for (const file of files) copyFileSync(new URL(file, services), join(out, file.split('/').at(-1)!))
  writeFileSync(join(out, 'package.json'), '{"type":"module"}\n')
}
