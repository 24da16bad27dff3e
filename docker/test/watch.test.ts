import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { noEngine, startSystem } from './system.ts'

const reason = await noEngine()
if (reason) {
  t.plan(0, reason)
  process.exit()
}

t.setTimeout(300_000)

t.test('docker compose watch restarts a service whose route is edited', async (t) => {
  // The edit must not change the project
  const root = mkdtempSync(join(tmpdir(), 'watched-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const files = ['compose.yaml', '.dockerignore', 'package.json', 'package-lock.json', 'tsconfig.json']
  const docs = ['docs/check-proof', 'docs/quick-start']
  for (const name of [...files, 'docker', ...docs, 'services', 'terraform/policies']) {
    cpSync(new URL(`../../${name}`, import.meta.url), join(root, name), { recursive: true })
  }
  const { options, baseUrl, subscriptionKey } = await startSystem(t, {
    root,
    files: ['docker/compose.development.yaml']
  })

  const configs = options.config.flatMap((file) => ['-f', file])
  const args = ['compose', ...configs, ...options.composeOptions, 'watch', '--no-up']
  const watch = spawn('docker', args, { cwd: root, env: options.env })
  t.teardown(async () => { if (watch.kill()) await once(watch, 'exit') })
  let said = ''
  for (const stream of [watch.stdout, watch.stderr]) stream.on('data', (chunk) => { said += chunk })
  while (!said.includes('Watch enabled')) await sleep(100)

  const route = join(root, 'services/emulators/gateway/app.ts')
  const before = readFileSync(route, 'utf8')
  const edited = before.replace('JSON.stringify({ method,', 'JSON.stringify({ edited: true, method,')
  t.not(edited, before)
  writeFileSync(route, edited)
  const began = Date.now()
  const headers = { 'ocp-apim-subscription-key': subscriptionKey }
  const echo = () => fetch(`${baseUrl}/echo/resource`, { headers })
    .then((response) => response.text(), () => '')
  while (!(await echo()).includes('edited')) await sleep(50)
  t.comment(`seen after ${Date.now() - began} ms`)
})
