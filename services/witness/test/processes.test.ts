import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { test, type Test } from 'tap'
import { signerOf } from '#common/transparency/notes.ts'
import { freePorts } from '../../emulators/processes/probes.ts'
import { startReplica } from '../../common/test/replicas.ts'
import { folderOf } from '../stores/store.ts'
import { settingsOf } from './app.ts'
import { ORIGIN, testLog } from './log.ts'

t.setTimeout(600_000)

const moduleOf = (path: string) => fileURLToPath(import.meta.resolve(path))
const log = testLog()
const fork = testLog({ signer: log.signer, fork: 5 })

/** A witness as a process. */
async function start (t: Test, dir: string, { module = '../main.ts', signers = [log.signer] } = {}) {
  const [port] = await freePorts() as [number]
  const settings = settingsOf(signers, {
    STORE_DIR: dir, HOST: '127.0.0.1', PORT: String(port), DRAIN_SECONDS: '0', LOG_LEVEL: 'info'
  })
  const { kill, ended } = await startReplica(t, settings, moduleOf(module))
  return {
    async add (body: string) {
      const response = await fetch(`http://127.0.0.1:${port}/add-checkpoint`, { method: 'POST', body })
      return { statusCode: response.status, body: await response.text() }
    },
    /** Kills the process. */
    async kill () {
      kill('SIGKILL')
      await ended
    },
    ended
  }
}

test('a crash between storing a state and answering loses nothing', async (t) => {
  const dir = t.testdir()
  const crashing = await start(t, dir, { module: './crashing.ts' })
  t.match(await crashing.add(await log.submission(0, 10)), { statusCode: 200 })
  await t.rejects(crashing.add(await log.submission(10, 20)))
  await crashing.ended
  const kept = () => readdirSync(join(dir, 'checkpoints', folderOf(ORIGIN)))
  t.strictSame(kept(), ['0000000000000010'])

  const again = await start(t, dir)
  t.match(await again.add(await log.submission(10, 20)), { statusCode: 409, body: '20\n' })
  t.match(await again.add(await fork.submission(10, 20)), { statusCode: 409 })
  t.match(await again.add(await fork.submission(20, 20)), { statusCode: 409 })
  t.match(await again.add(await fork.submission(20, 30)), { statusCode: 422 })
  t.match(await again.add(await log.submission(20, 30)), { statusCode: 200 })
  t.strictSame(kept(), ['0000000000000010', '0000000000000020', '0000000000000030'], 'the one before, too')
})

test('a log that was set back is refused, also after each restart', async (t) => {
  const dir = t.testdir()
  const first = await start(t, dir)
  t.match(await first.add(await log.submission(0, 100)), { statusCode: 200 })
  await first.kill()
  for (let restart = 0; restart < 2; restart++) {
    const witness = await start(t, dir)
    for (const old of [0, 40, 50]) {
      t.match(await witness.add(await log.submission(old, 50)), { statusCode: 409, body: '100\n' })
    }
    t.match(await witness.add(await fork.submission(0, 100)), { statusCode: 409, body: '100\n' })
    t.match(await witness.add(await fork.submission(100, 100)), { statusCode: 409, body: '100\n' })
    t.match(await witness.add(await fork.submission(100, 200)), { statusCode: 422 })
    await witness.kill()
  }
})

test('two processes with one directory never cosign two trees', async (t) => {
  const dir = t.testdir()
  const origins = Array.from({ length: 20 }, (_, i) => `example.org/register-${i}`)
  const signers = origins.map((origin) => signerOf(origin, randomBytes(32)))
  const logs = signers.map((signer, i) => testLog({ origin: origins[i], signer, size: 30 }))
  const forks = signers.map((signer, i) => testLog({ origin: origins[i], signer, size: 30, fork: 5 }))
  const processes = [await start(t, dir, { signers }), await start(t, dir, { signers })] as const
  for (let i = 0; i < logs.length; i++) {
    const responses = await Promise.all([
      processes[0].add(await logs[i]!.submission(0, 20)),
      processes[1].add(await forks[i]!.submission(0, 21))
    ])
    t.strictSame(responses.map(({ statusCode }) => statusCode).toSorted(), [200, 409])
  }
})

test('a state that is damaged is not taken for an empty one', async (t) => {
  const dir = t.testdir()
  const first = await start(t, dir)
  await first.add(await log.submission(0, 10))
  await first.kill()
  const file = join(dir, 'state', folderOf(ORIGIN), 'state.json')
  t.ok(existsSync(file))
  writeFileSync(file, '')
  const again = await start(t, dir)
  t.match(await again.add(await log.submission(0, 10)), { statusCode: 503 })
})
