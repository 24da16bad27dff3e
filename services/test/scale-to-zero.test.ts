import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { isAlive, startSystem, StartFailure, type System } from './system.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const sh = promisify(execFile)

/** The processes of both services: those that their ingresses have started. */
async function replicas ({ run }: System) {
  const args = ['-o', 'pid=', '--ppid', `${run.patient.pid},${run.audit.pid}`]
  const { stdout } = await sh('ps', args).catch(() => ({ stdout: '' }))
  return stdout.split('\n').filter(Boolean).map(Number)
}

async function scaledToZero (system: System) {
  while ((await replicas(system)).length > 0) await sleep(50)
}

async function create (system: System) {
  return (await sh('sh', ['-c', system.curlLines[0]!])).stdout
}

t.test('services that are scaled to zero start with a request, end when idle, and start again', async (t) => {
  const system = await startSystem({ args: ['--scale-to-zero'], env: { IDLE_SECONDS: '2' } })
  t.teardown(() => system.stop())
  t.strictSame(await replicas(system), [])

  t.match(await create(system), /^HTTP\/1.1 201 /)
  t.equal((await replicas(system)).length, 2)
  await scaledToZero(system)

  const answers = await Promise.all([create(system), create(system), create(system)])
  for (const answer of answers) t.match(answer, /^HTTP\/1.1 201 /)
  const { run } = system
  const running = [run, run.gateway, run.patient, run.audit, run.vault, run.database]
  const all = [...running.flatMap((one) => one?.pid ?? []), ...await replicas(system)]
  t.ok(all.length >= 7)

  // A terminal sends it to all of them
  for (const pid of all.slice(1)) process.kill(pid, 'SIGINT')
  const { code } = await system.stop('SIGINT')
  t.equal(code, 0)
  t.notOk(all.some(isAlive))
  t.notMatch(system.logs(), 'starting it again')
})

t.test('nothing of it outlives start.ts when it is killed', async (t) => {
  const system = await startSystem({ args: ['--scale-to-zero'] })
  await create(system)
  const { run } = system
  const all = [run.patient.pid!, run.audit.pid!, ...await replicas(system)]
  t.equal(all.length, 4)
  await system.stop('SIGKILL')
  while (all.some(isAlive)) await sleep(20)
})

t.test('a malformed option is reported', async (t) => {
  const starting = startSystem({ args: ['--scale-to-one'] })
  const failure = await starting.then((system) => system.stop(), (error) => error)
  t.ok(failure instanceof StartFailure)
  t.match(failure, { code: 1, stderr: /^npm start: Unknown option '--scale-to-one'/ })
})
