import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { atMost, figure, median } from '../../services/bench/figures.ts'
import { docker } from '../test/system.ts'

// npm run bench:images: what each image of Azure's adds to its base, how long it takes from `docker run` to its first
// answer, and what it holds when idle; beside a bare Fastify on the same base, in turns

const STARTS = 10
const MOST_ADDED = 10e6
const BASE = 'gcr.io/distroless/nodejs26-debian13:nonroot'
const root = new URL('../../', import.meta.url).pathname

const key = 'k'.repeat(43)
const settings: Record<string, Record<string, string>> = {
  bare: {},
  patient: { ALLOWED_CALLERS: '0.0.0.0/0', AUDIT_URL: 'http://127.0.0.1:9', PATIENT_HOST_KEY: key, AUDIT_HOST_KEY: key, PATIENT_DATA_KEY: key, PATIENT_DB_CONNECTION: 'mongodb://127.0.0.1:9/' },
  audit: { ALLOWED_CALLERS: '0.0.0.0/0', AUDIT_HOST_KEY: key, AUDIT_DB_CONNECTION: 'mongodb://127.0.0.1:9/' }
}
const images = Object.keys(settings)
const tag = (name: string) => `bench-${name}`

await buildBare()
for (const name of ['patient', 'audit', 'rotation']) await docker('build', '-q', '-f', join(root, 'docker/Dockerfile'), '--target', name, '-t', tag(name), root)

const sizeOf = async (image: string) => Number(await docker('image', 'inspect', '-f', '{{.Size}}', image))
const base = await sizeOf(BASE)
for (const name of ['bare', 'patient', 'audit', 'rotation']) {
  const added = await sizeOf(tag(name)) - base
  figure(`image-${name}-added-bytes`, added, name === 'bare' ? undefined : atMost(MOST_ADDED))
}

const started = new Map(images.map((name) => [name, [] as number[]]))
const memory = new Map(images.map((name) => [name, [] as number[]]))
for (let round = 0; round < STARTS; round++) {
  for (const name of images) {
    const { ms, bytes } = await start(name)
    started.get(name)!.push(ms)
    memory.get(name)!.push(bytes)
  }
}
for (const name of images) {
  const ms = median(started.get(name)!)
  const bytes = median(memory.get(name)!)
  figure(`image-${name}-first-answer-ms`, ms)
  figure(`image-${name}-idle-bytes`, bytes)
  if (name === 'bare') continue
  figure(`image-${name}-first-answer-to-bare`, ms / median(started.get('bare')!))
  figure(`image-${name}-idle-to-bare`, bytes / median(memory.get('bare')!))
}

async function start (name: string) {
  const variables = Object.entries(settings[name]!).flatMap(([variable, value]) => ['-e', `${variable}=${value}`])
  const began = performance.now()
  const id = await docker('run', '-d', '--rm', '--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL', ...variables, tag(name))
  try {
    const address = await docker('inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', id)
    while (!await fetch(`http://${address}:8080/health/live`).then(({ ok }) => ok, () => false)) await sleep(2)
    const ms = performance.now() - began
    await sleep(1_000)
    return { ms, bytes: await memoryOf(id) }
  } finally {
    await docker('kill', id)
  }
}

/** The resident memory of the container's process. */
async function memoryOf (id: string) {
  const kilobytes = (await docker('exec', id, '/nodejs/bin/node', '-p', "/VmRSS:\\s+(\\d+)/.exec(require('fs').readFileSync('/proc/1/status', 'utf8'))[1]"))
  return Number(kilobytes) * 1_024
}

async function buildBare () {
  const dir = mkdtempSync(join(tmpdir(), 'bare-'))
  await build({ entryPoints: [join(root, 'docker/bench/bare.ts')], outfile: join(dir, 'main.mjs'), bundle: true, platform: 'node', format: 'esm', banner: { js: "import{createRequire as r}from'node:module';const require=r(import.meta.url);" }, logLevel: 'warning' })
  writeFileSync(join(dir, 'Dockerfile'), `FROM ${BASE}\nCOPY main.mjs .\nCMD ["main.mjs"]\n`)
  await docker('build', '-q', '-t', tag('bare'), dir)
  rmSync(dir, { recursive: true })
}
