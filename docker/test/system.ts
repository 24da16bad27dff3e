import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import * as compose from 'docker-compose'
import type { Test } from 'tap'
import { freePorts } from '../../services/emulators/processes/probes.ts'
import { readSecrets } from '../../services/emulators/vault/store.ts'

const run = promisify(execFile)
const ROOT = new URL('../../', import.meta.url).pathname

export const names = [
  'gateway', 'auditor', 'patient-ingress', 'patient', 'audit-ingress', 'audit', 'witness', 'vault',
  'patient-db', 'audit-db'
] as const
export type Name = typeof names[number]

export async function docker (...args: string[]) {
  return (await run('docker', args, { maxBuffer: 2 ** 26 })).stdout.trim()
}

/** Why no containers can run here; false if they can. */
export async function noEngine () {
  try {
    await docker('compose', 'version')
    await docker('info')
    return false
  } catch {
    return 'there is no Docker engine with compose'
  }
}

export type System = Awaited<ReturnType<typeof startSystem>>

interface Options {
  /** The directory of compose.yaml. */
  root?: string
  /** Further compose files. */
  files?: string[]
}

/**
 * Starts the system of compose.yaml as a project of its own, which the test removes in the end. Its databases
 * run the image in MONGO_IMAGE, or the embedded database.
 */
export async function startSystem (t: Test, { root = ROOT, files = [] }: Options = {}) {
  const [port, monitorPort] = await freePorts(2)
  const project = `test-${process.pid}`
  const env = {
    ...process.env,
    PORT: String(port),
    NETWORK_PREFIX: `10.${100 + process.pid % 100}.${process.pid % 250}`,
    KEY_REFRESH_SECONDS: '2',
    COMPOSE_PROFILES: 'observe',
    MONITOR_PORT: String(monitorPort)
  }
  const offline = process.env.MONGO_IMAGE ? [] : ['docker/compose.offline.yaml']
  const options = {
    cwd: root,
    config: ['compose.yaml', ...offline, ...files],
    composeOptions: ['--project-name', project],
    env
  }
  t.teardown(() => compose.down({
    ...options,
    commandOptions: ['--volumes', '--timeout', '0', '--remove-orphans', '--rmi', 'local']
  }))
  await compose.upAll({ ...options, commandOptions: ['--build', '--wait'] })

  const container = (name: Name, replica = 1) => `${project}-${name}-${replica}`
  const { out } = await compose.logs('provision', { ...options, commandOptions: ['--no-log-prefix'] })
  const printed = (label: string) => new RegExp(`^${label}: (\\S+)`, 'm').exec(out)![1]!

  const system = {
    project,
    options,
    container,
    baseUrl: `http://127.0.0.1:${port}`,
    monitorUrl: `http://127.0.0.1:${monitorPort}`,
    subscriptionKey: printed('Subscription key'),
    auditorKey: printed('Subscription key of an auditor'),
    /** The public keys of the log and of the witness. */
    logKey: printed('Public key of the log'),
    witnessKey: printed('Public key of the witness'),

    /** The addresses of a container, by network. */
    async addresses (id: string): Promise<Record<string, string>> {
      const networks = JSON.parse(await docker('inspect', '-f', '{{json .NetworkSettings.Networks}}', id))
      const addresses = Object.entries<{ IPAddress: string }>(networks)
        .map(([name, { IPAddress }]) => [name.replace(`${project}_`, ''), IPAddress])
      return Object.fromEntries(addresses)
    },

    /** Runs JavaScript in a container; what it writes is JSON. */
    async within (id: string, script: string) {
      return JSON.parse(await docker('exec', id, '/nodejs/bin/node', '-e', script))
    },

    /** The newest value of each secret of the vault. */
    async secrets () {
      const read = `
        const read = (file) => require('node:fs').readFileSync(file, 'base64')
        console.log(JSON.stringify([read('/data/secrets.sealed'), read('/run/secrets/unseal-key')]))`
      const [sealed, key] = await system.within(container('vault'), read)
      const dir = mkdtempSync(join(tmpdir(), 'vault-'))
      writeFileSync(join(dir, 'secrets.sealed'), Buffer.from(sealed, 'base64'))
      writeFileSync(join(dir, 'unseal-key'), Buffer.from(key, 'base64'))
      const secrets = readSecrets(dir, join(dir, 'unseal-key'))
      rmSync(dir, { recursive: true })
      return secrets
    },

    async health (id: string) {
      return docker('inspect', '-f', '{{.State.Health.Status}}', id).catch(() => 'gone')
    },

    /** Waits until all containers are healthy, and returns for how many ms. */
    async healthy () {
      const began = Date.now()
      for (;;) {
        const states = await Promise.all(names.map((name) => system.health(container(name))))
        if (states.every((state) => state === 'healthy')) return Date.now() - began
        await sleep(100)
      }
    }
  }
  return system
}
