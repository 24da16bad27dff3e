import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { startSystem } from './system.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const sh = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '../..')
const hasPython = spawnSync('python3', ['--version']).status === 0

// A copy, beside the types that are made for it
const dir = mkdtempSync(join(tmpdir(), 'quick-start-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
cpSync(join(ROOT, 'docs/quick-start'), dir, { recursive: true })
symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
writeFileSync(join(dir, 'package.json'), '{"type":"module"}\n')

const system = await startSystem()
t.teardown(() => system.stop())

/** Runs a command where the quick starts are; fails unless it ends with exit code 0. */
function run (command: string, args: string[], base = system.baseUrl, key = system.subscriptionKey) {
  return sh(command, args, { cwd: dir, env: { ...process.env, BASE: base, KEY: key } })
}

const languages = [
  { name: 'curl', command: ['sh', 'quick-start.sh'] },
  { name: 'TypeScript', command: [process.execPath, 'quick-start.ts'] },
  { name: 'Python', command: ['python3', 'quick_start.py'], skip: !hasPython && 'there is no python3 here' }
]

t.test('the TypeScript quick start fits the types of the document of the portal', async (t) => {
  const bin = (name: string) => join(ROOT, 'node_modules/.bin', name)
  await run(bin('openapi-typescript'), [
    `${system.baseUrl}/portal/openapi/patient-types.json`, '-o', join(dir, 'patient-api.d.ts')
  ])
  // One value in a copy is none that the document allows
  const text = readFileSync(join(dir, 'quick-start.ts'), 'utf8')
  writeFileSync(join(dir, 'wrong.ts'), text.replace("'female'", "'feminine'"))
  const { stdout = '' } = await run(bin('tsc'), [
    '--strict', '--noEmit', '--module', 'nodenext', '--target', 'esnext', '--types', 'node', '--skipLibCheck',
    '--allowImportingTsExtensions', 'quick-start.ts', 'wrong.ts'
  ]).catch((error: { stdout: string }) => error)
  const errors = stdout.match(/^\S+: error .*$/gm) ?? []
  t.equal(errors.length, 1)
  t.match(errors[0], /^wrong\.ts.*feminine/)
})

let before = 0
for (const { name, command: [command, ...args], skip } of languages) {
  t.test(`the quick start in ${name} works`, { skip }, async (t) => {
    const { stdout } = await run(command!, args)
    before++
    t.match(stdout, new RegExp(`^created [0-9a-f-]{36}\nstored a test result\nfound ${before}\n$`))
  })

  t.test(`the quick start in ${name} obeys Retry-After and stores nothing twice`, { skip }, async (t) => {
    const { url, requests } = await startUnsteady(t)
    const { stdout } = await run(command!, args, url)
    before++
    t.match(stdout, new RegExp(`^created [0-9a-f-]{36}\nstored a test result\nfound ${before}\n$`))
    const [first, second, third] = requests.filter(({ path }) => path === '/patient')
    t.equal(requests.filter(({ path }) => path === '/patient').length, 3)
    t.ok(second!.at - first!.at >= 1_000 - 50, 'after the second that the response says')
    t.type(first!.key, 'string')
    t.equal(second!.key, first!.key)
    t.equal(third!.key, first!.key)
    const ofTest = requests.find(({ path }) => path.endsWith('/tests'))
    t.not(ofTest!.key, first!.key)
  })

  t.test(`the quick start in ${name} ends with an error if it is refused`, { skip }, async (t) => {
    await t.rejects(run(command!, args, system.baseUrl, 'another key'), { code: /[1-9]/ })
  })
}

/**
 * A proxy that refuses the first create with 503 and loses the response of the second, so that the third is a
 * repetition of one that was carried out.
 */
async function startUnsteady (t: Test) {
  const requests: Array<{ path: string, key: string | undefined, at: number }> = []
  let creates = 0
  const server = createServer(async (request, response) => {
    const path = request.url!.split('?')[0]!
    const key = request.headers['idempotency-key'] as string | undefined
    requests.push({ path, key, at: performance.now() })
    if (path === '/patient') creates++
    if (path === '/patient' && creates === 1) {
      response.writeHead(503, { 'retry-after': '1' }).end('{"code":"AUDIT_UNAVAILABLE"}')
    } else await forward(request, response, path === '/patient' && creates === 2)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

async function forward (request: IncomingMessage, response: ServerResponse, isLost: boolean) {
  const body = (await request.toArray()).map(String).join('')
  const names = ['ocp-apim-subscription-key', 'idempotency-key', 'content-type']
  const headers = names.flatMap((name): Array<[string, string]> => {
    const value = request.headers[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  const answer = await fetch(system.baseUrl + request.url!, { method: request.method!, headers, body })
  const text = await answer.text()
  if (isLost) response.writeHead(503, { 'retry-after': '0' }).end('{"code":"OUT_OF_TIME"}')
  else response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type')! }).end(text)
}
