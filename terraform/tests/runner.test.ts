// The scripts of the build runner, with servers in place of the machine's identity, the vault and GitHub.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'

// The mutation tests set a changed copy
const directory = resolve(process.env.TERRAFORM_DIR ?? join(import.meta.dirname, '..'))
const machine = join(directory, 'modules/runner/machine')
const read = (file: string) => readFileSync(join(machine, file), 'utf8')

const IDENTITY_TOKEN = 'token-of-the-identity'
const GITHUB_TOKEN = 'token-of-github'
const CONFIGURATION = 'configuration-of-one-runner'

interface Request {
  call: string
  headers: IncomingMessage['headers']
  body: string
}
type Answer = [status: number, body: object]

/** What each service answers, by the beginning of a request. */
const ANSWERS: Record<string, Answer> = {
  'GET /metadata/identity/oauth2/token?': [200, { access_token: IDENTITY_TOKEN }],
  'GET /secrets/runner-github-token?': [200, { value: GITHUB_TOKEN }],
  'POST /repos/example/patients/actions/runners/generate-jitconfig': [
    201, { encoded_jit_config: CONFIGURATION }
  ]
}

/** Runs register.sh: what it prints and requests, and the arguments of all processes meanwhile. */
async function register (t: Test, answers: Record<string, Answer> = {}) {
  const requests: Request[] = []
  const seen: string[] = []
  const server = createServer(async (request, response) => {
    seen.push(argumentsOfAll())
    const call = `${request.method} ${request.url}`
    requests.push({ call, headers: request.headers, body: await text(request) })
    const known = Object.entries({ ...ANSWERS, ...answers }).find(([start]) => call.startsWith(start))
    const [status, body] = known?.[1] ?? [404, {}]
    response.writeHead(status).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())

  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const root = t.testdir({ run: {} })
  const run = join(root, 'run')
  const file = join(root, 'settings')
  writeFileSync(file, `CLIENT_ID='client'
DIRECTORY='${run}'
GITHUB_URL='${url}'
IDENTITY_URL='${url}'
LABEL='azure'
REPOSITORY='example/patients'
SECRET_URL='${url}/secrets/runner-github-token'
`)
  const child = spawn('bash', [join(machine, 'register.sh'), file], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { status: child.exitCode, output, errors, requests, seen: seen.join('\n'), run }
}

/** The arguments of all processes, as everybody on the machine can read them. */
function argumentsOfAll () {
  return globSync('/proc/[0-9]*/cmdline').map((file) => {
    try {
      return readFileSync(file, 'utf8')
    } catch {
      return '' // It has ended
    }
  }).join('\n')
}

t.test('a runner is registered for one job, with the label only', async (t) => {
  const { status, output, errors, requests, run } = await register(t)
  t.equal(status, 0, errors)
  t.match(output, /^azure-\S+-\d+ is registered\n$/)
  t.equal(errors, '')

  const [identity, vault, github] = requests
  t.equal(requests.length, 3)
  const query = 'api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&client_id=client'
  t.equal(identity!.call, `GET /metadata/identity/oauth2/token?${query}`)
  t.equal(identity!.headers.metadata, 'true')
  t.equal(vault!.call, 'GET /secrets/runner-github-token?api-version=7.4')
  t.equal(vault!.headers.authorization, `Bearer ${IDENTITY_TOKEN}`)
  t.equal(github!.headers.authorization, `Bearer ${GITHUB_TOKEN}`)
  const { name, ...rest } = JSON.parse(github!.body)
  t.match(output, name)
  t.same(rest, { runner_group_id: 1, labels: ['azure'], work_folder: '_work' })

  t.equal(readFileSync(join(run, 'configuration'), 'utf8'), `${CONFIGURATION}\n`)
  t.same(readdirSync(run), ['configuration'], 'and no answer stays')
  t.equal(statSync(join(run, 'configuration')).mode & 0o777, 0o644, 'the user of the jobs reads it')
})

t.test('no secret is in the arguments of a process', async (t) => {
  const { seen } = await register(t)
  t.match(seen, 'register.sh', 'the arguments are seen')
  for (const secret of [IDENTITY_TOKEN, GITHUB_TOKEN, CONFIGURATION]) t.notMatch(seen, secret)
})

t.test('a failure says who refuses, and no content of an answer; nothing is stored', async (t) => {
  const calls = Object.keys(ANSWERS)
  const leak = { secret: GITHUB_TOKEN }
  const failures: Array<[call: string, answer: Answer, message: string]> = [
    [calls[0]!, [400, leak], 'The machine\'s identity answers 400 instead of 200\n'],
    [calls[1]!, [404, leak], 'The vault, asked for runner-github-token, answers 404 instead of 200\n'],
    [calls[2]!, [401, leak], 'GitHub, asked for a runner of example/patients, answers 401 instead of 201\n'],
    [calls[1]!, [200, leak], ''],
    [calls[2]!, [201, leak], '']
  ]
  for (const [call, answer, message] of failures) {
    await t.test(`${call} ${answer[0]}`, async (t) => {
      const { status, output, errors, run } = await register(t, { [call]: answer })
      t.not(status, 0)
      t.equal(errors, message)
      t.notMatch(output, GITHUB_TOKEN)
      t.same(readdirSync(run), [])
    })
  }
})

t.test('the unit runs one job without rights, and leaves nothing of it', async (t) => {
  const lines = read('runner.service').split('\n')
  const steps = lines.filter((line) => line.startsWith('Exec')).map((line) => line.split(' ')[0])
  t.same(steps, [
    'ExecStartPre=+/usr/local/sbin/runner-install', 'ExecStartPre=+/usr/sbin/nft',
    'ExecStartPre=+/usr/bin/find', 'ExecStartPre=+/usr/local/sbin/runner-register',
    'ExecStartPre=/usr/bin/cp', 'ExecStart=/usr/bin/bash', 'ExecStopPost=+/usr/bin/find'
  ], 'only what prepares a job runs as root')
  const settings = [
    'User=runner', 'Restart=always', 'KillMode=control-group', 'NoNewPrivileges=yes', 'PrivateTmp=yes',
    'ProtectSystem=strict', 'RuntimeDirectoryMode=0700', 'CapabilityBoundingSet='
  ]
  for (const setting of settings) t.ok(lines.includes(setting), setting)
})

t.test('a job reaches neither the identity of the machine nor the agent of the platform', async (t) => {
  t.match(read('identity.nft'), 'meta skuid "runner" ip daddr { 168.63.129.16, 169.254.169.254 } reject')
})

t.test('the daemon of Docker, whose users are root, is not installed', async (t) => {
  const [, list = ''] = /--no-install-recommends (.*)/.exec(read('install.sh')) ?? []
  t.same(list.split(' '), ['azure-cli', 'docker-buildx-plugin', 'docker-ce-cli', 'gh'])
})

t.test('the archive of the runner is unpacked once its digest matches', async (t) => {
  t.match(read('install.sh'), /sha256sum --check[\s\S]*tar --extract/)
})

const hasShellcheck = spawnSync('shellcheck', ['--version']).status === 0
if (!hasShellcheck) process.stderr.write('\n*** NOT TESTED: the build runner, with shellcheck ***\n\n')
t.test('shellcheck finds nothing in the scripts', { skip: !hasShellcheck }, async (t) => {
  const scripts = globSync(join(machine, '*.sh'))
  t.equal(scripts.length, 3)
  const { status, stdout } = spawnSync('shellcheck', scripts, { encoding: 'utf8' })
  t.equal(status, 0, stdout)
})
