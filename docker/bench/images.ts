import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { atMost, figure, inTurns, ratios } from '../../services/bench/figures.ts'
import { docker } from '../test/system.ts'

// npm run bench:images: what each image for Azure adds to its base, the time from `docker run` to its first
// response, and its memory when idle, beside a minimal Fastify service on the same base

const STARTS = 10
const MAX_ADDED_BYTES = 10e6
const BASE = 'gcr.io/distroless/nodejs26-debian13:nonroot'
const ROOT = new URL('../../', import.meta.url).pathname
const REQUIRE = "import{createRequire as r}from'node:module';const require=r(import.meta.url);"

const key = 'k'.repeat(43)
const database = 'mongodb://127.0.0.1:9/'
const callers = { ALLOWED_CALLERS: '0.0.0.0/0', AUDIT_HOST_KEY: key, AUDIT_QUERY_KEY: key }
const settings = {
  bare: {},
  patient: {
    ...callers,
    AUDIT_URL: 'http://127.0.0.1:9',
    PATIENT_HOST_KEY: key,
    PATIENT_DATA_KEY: key,
    PATIENT_DB_CONNECTION: database
  },
  audit: { ...callers, AUDIT_DB_CONNECTION: database }
}
type Name = keyof typeof settings
const tag = (name: string) => `bench-${name}`

await buildBare()
for (const name of ['patient', 'audit', 'rotation']) {
  await docker('build', '-q', '-f', join(ROOT, 'docker/Dockerfile'), '--target', name, '-t', tag(name), ROOT)
}

const sizeOf = async (image: string) => Number(await docker('image', 'inspect', '-f', '{{.Size}}', image))
const base = await sizeOf(BASE)
for (const name of ['bare', 'patient', 'audit', 'rotation']) {
  const added = await sizeOf(tag(name)) - base
  figure(`image-${name}-added-bytes`, added, name === 'bare' ? undefined : atMost(MAX_ADDED_BYTES))
}

const names = Object.keys(settings) as Name[]
const rounds = await inTurns(names, STARTS, start)
for (const name of names) {
  for (const [value, label] of [['ms', 'first-answer'], ['bytes', 'idle']] as const) {
    const values = rounds[name].map((round) => round[value])
    figure(`image-${name}-${label}-${value}`, values)
    if (name === 'bare') continue
    figure(`image-${name}-${label}-to-bare`, ratios(values, rounds.bare.map((round) => round[value])))
  }
}

async function start (name: Name) {
  const variables = Object.entries(settings[name]).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  const limits = ['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL']
  const began = performance.now()
  const id = await docker('run', '-d', '--rm', ...limits, ...variables, tag(name))
  try {
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
    const url = `http://${await docker('inspect', '-f', format, id)}:8080/health/live`
    while (!await fetch(url).then(({ ok }) => ok, () => false)) await sleep(2)
    const ms = performance.now() - began
    await sleep(1_000)
    return { ms, bytes: await memoryOf(id) }
  } finally {
    await docker('kill', id)
  }
}

/** The resident memory of the container's process. */
async function memoryOf (id: string) {
  const status = "require('fs').readFileSync('/proc/1/status', 'utf8')"
  const script = `/VmRSS:\\s+(\\d+)/.exec(${status})[1]`
  return Number(await docker('exec', id, '/nodejs/bin/node', '-p', script)) * 1_024
}

async function buildBare () {
  const dir = mkdtempSync(join(tmpdir(), 'bare-'))
  await build({
    entryPoints: [join(ROOT, 'docker/bench/bare.ts')],
    outfile: join(dir, 'main.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: { js: REQUIRE },
    logLevel: 'warning'
  })
  writeFileSync(join(dir, 'Dockerfile'), `FROM ${BASE}\nCOPY main.mjs .\nCMD ["main.mjs"]\n`)
  await docker('build', '-q', '-t', tag('bare'), dir)
  rmSync(dir, { recursive: true })
}
