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

t.test('a route that is edited while docker compose watches shows in an answer', async (t) => {
  // A copy, since what is edited here is not to be in the project
  const root = mkdtempSync(join(tmpdir(), 'watched-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  for (const name of ['compose.yaml', '.dockerignore', 'package.json', 'package-lock.json', 'tsconfig.json', 'docker', 'services', 'terraform/policies']) {
    cpSync(new URL(`../../${name}`, import.meta.url), join(root, name), { recursive: true })
  }
  const { options, baseUrl, subscriptionKey } = await startSystem(t, { root, files: ['docker/compose.development.yaml'] })

  const watch = spawn('docker', ['compose', ...options.config.flatMap((file) => ['-f', file]), ...options.composeOptions, 'watch', '--no-up'], { cwd: root, env: options.env })
  t.teardown(async () => { if (watch.kill()) await once(watch, 'exit') })
  let said = ''
  for (const stream of [watch.stdout, watch.stderr]) stream.on('data', (chunk) => { said += chunk })
  while (!said.includes('Watch enabled')) await sleep(100)

  const route = join(root, 'services/emulators/gateway/app.ts')
  writeFileSync(route, readFileSync(route, 'utf8').replace('return { method,', 'return { edited: true, method,'))
  const began = Date.now()
  for (let edited = false; !edited; await sleep(50)) {
    edited = await fetch(`${baseUrl}/echo/resource`, { headers: { 'ocp-apim-subscription-key': subscriptionKey } }).then((answer) => answer.text(), () => '').then((text) => text.includes('edited'))
  }
  t.comment(`seen after ${Date.now() - began} ms`)
})
