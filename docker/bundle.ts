import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, parse } from 'node:path'
import { decode, encode, type SourceMapSegment } from '@jridgewell/sourcemap-codec'
import { build, type BuildOptions } from 'esbuild'
import { platformUrl } from './platform-url.ts'

// node docker/bundle.ts DIR NAME…: a directory for each process named, main.mjs in it, with source maps, below DIR

const services = new URL('../services/', import.meta.url)

/** Of the processes that tell what they do: the thread that sends it. */
const exporter = 'common/telemetry/exporter.ts'

interface Process {
  /** What the image runs. */
  module: string
  /** The modules that it starts threads with. */
  threads?: string[]
  /** The files that it reads beside itself. */
  files?: string[]
  /** With its packages as they come. */
  asItIs?: boolean
}

const processes: Record<string, Process> = {
  patient: { module: 'patient/main.ts', threads: [exporter] },
  audit: { module: 'audit/main.ts', threads: [exporter] },
  rotation: { module: 'rotation/main.ts' },
  gateway: { module: 'emulators/gateway/main.ts', threads: [exporter], files: ['global', 'product', 'patient', 'echo'].map((scope) => `../terraform/policies/${scope}.xml`) },
  ingress: { module: 'emulators/ingress/main.ts' },
  vault: { module: 'emulators/vault/main.ts' },
  monitor: { module: 'emulators/monitor/main.ts', files: ['emulators/monitor/monitor.css', 'emulators/monitor/monitor.js'] },
  database: { module: 'emulators/mongodb/main.ts' },
  setup: { module: 'cli/compose/setup.ts' },
  provision: { module: 'cli/compose/provision.ts' },
  register: { module: 'cli/register.ts' },
  // What starts are measured beside
  bare: { module: 'bench/bare.ts', asItIs: true }
}

// What CommonJS packages find in every module of theirs
const banner = "import{createRequire as $createRequire}from'node:module';const require=$createRequire(import.meta.url),$filename=import.meta.filename,$dirname=import.meta.dirname;"

/** Leaves packages out of a source map: what they fill it with is of the size of their code. */
function keepOwn (file: string) {
  const map = JSON.parse(readFileSync(file, 'utf8'))
  const own = map.sources.map((source: string) => !source.includes('/node_modules/'))
  const lines = decode(map.mappings).map((line) => line.filter((segment, i) => isOwn(segment) || isOwn(line[i - 1])).map((segment) => isOwn(segment) ? segment : [segment[0]] as [number]))
  function isOwn (segment: SourceMapSegment | undefined) {
    return segment !== undefined && segment.length > 1 && own[segment[1]!]
  }
  const sources = map.sources.map((source: string, i: number) => own[i] ? source : null)
  writeFileSync(file, JSON.stringify({ ...map, sources, mappings: encode(lines) }))
}

const [dir, ...names] = process.argv.slice(2)
const unknown = names.filter((name) => !processes[name])
if (!dir || names.length === 0 || unknown.length > 0) {
  process.stderr.write(`node docker/bundle.ts DIR NAME…, of ${Object.keys(processes).join(', ')}\n`)
  process.exit(1)
}

for (const name of names) {
  const { module, threads = [], files = [], asItIs = false } = processes[name]!
  const out = join(dir, name)
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const common = {
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    banner: { js: banner },
    define: { __filename: '$filename', __dirname: '$dirname' },
    plugins: asItIs ? [] : [platformUrl],
    logLevel: 'warning'
  } satisfies BuildOptions
  await build({
    ...common,
    entryPoints: { main: new URL(module, services).pathname },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    // What is imported when it is needed is not read, and what it imports is not loaded, before that
    splitting: true,
    chunkNames: '[name]-[hash]',
    sourcemap: 'linked',
    sourcesContent: false,
    minifySyntax: true,
    minifyWhitespace: true
  })
  for (const file of readdirSync(out).filter((file) => file.endsWith('.mjs.map'))) keepOwn(join(out, file))
  for (const thread of threads) {
    await build({
      ...common,
      entryPoints: [new URL(thread, services).pathname],
      outfile: join(out, `${parse(thread).name}.mjs`),
      minify: true
    })
  }
  for (const file of files) copyFileSync(new URL(file, services), join(out, file.split('/').at(-1)!))
  writeFileSync(join(out, 'package.json'), '{"type":"module"}\n')
}
