import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { startSystem } from './system.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const MAX_README_LINES = 150
const hasGo = spawnSync('go', ['version']).status === 0

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
const pagesIn = (folder: string) => {
  const names = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.md'))
  return names.map((name) => `${folder}/${name}`)
}
const pages = ['README.md', 'CONTRIBUTING.md', ...pagesIn('docs'), ...pagesIn('terraform')]
  .map((path) => ({ path, markdown: readFileSync(join(ROOT, path), 'utf8') }))

/** The shell commands of a README section, in their order. */
function shellBlocks (heading: string) {
  const section = readme.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!).join('\n')
}

/** Sets a variable where the README does. */
function assign (script: string, name: string, value: string) {
  const assignment = new RegExp(`^${name}=.*$`, 'm')
  if (!assignment.test(script)) throw new Error(`the README never sets ${name}`)
  return script.replace(assignment, `${name}='${value}'`)
}

/** Runs a script as if it was typed, and stops at the first command that fails. */
async function bash (script: string, env: NodeJS.ProcessEnv) {
  const shell = spawn('bash', ['-euo', 'pipefail'], { cwd: ROOT, env: { ...process.env, ...env } })
  shell.stdin.end(script)
  const ended = once(shell, 'close')
  const [stdout, stderr, [code]] = await Promise.all([text(shell.stdout), text(shell.stderr), ended])
  return { code, stdout, stderr }
}

t.test('the examples of the README run from top to bottom', async (t) => {
  const system = await startSystem()
  t.teardown(() => system.stop())
  const examples = [shellBlocks('Use'), shellBlocks('The audit register')].join('\n')
  let script = assign(examples, 'BASE', system.baseUrl)
  script = assign(script, 'KEY', system.subscriptionKey)
  script = assign(script, 'AUDITOR_KEY', system.auditorKey)
  script = assign(script, 'WITNESS_KEY', system.witnessKey)
  if (!hasGo) script = script.replace(/^.*\bgo run\b.*$/m, '')
  script += '\necho "IDS $ID $BOB_ID"\n'

  const { code, stdout, stderr } = await bash(script, {
    LOCAL_DIR: system.localDir,
    DATABASE_PREFIX: system.run.audit.database.replace(/audit$/, '')
  })

  t.equal(code, 0, stderr)
  const expected = [...examples.matchAll(/^# .*$/gm)]
    .flatMap(([comment]) => comment.match(/\b\d{3}\b/g) ?? [])
  const statuses = [...stdout.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status)
  t.same(statuses, expected, 'each response has the status that the comment above the command says')
  const used = shellBlocks('Use').match(/^curl -i /gm)!.length
  t.same(statuses.slice(used - 2, used), ['204', '204'], 'the patients are deleted last')
  t.equal(statuses.length, examples.match(/^curl -i /gm)?.length, 'every command printed one response')

  const [, id, bob] = /^IDS ([0-9a-f-]{36}) ([0-9a-f-]{36})$/m.exec(stdout) ?? []
  t.ok(id, 'the commands set $ID')
  t.match(stdout, new RegExp(`"id":"${bob}"`), 'the repeated create answers with the same patient')
  t.match(stdout, /"lastName":"King"/, 'the patch is applied')
  t.match(stdout, new RegExp(`create patient +${id}`), 'the audit register lists the create')
  t.match(stdout, /^no finding$/m, 'the register is as it was written')
  if (hasGo) t.match(stdout, /^record \d+ of \d+, witnessed by /m, 'the proof is checked with other code')
  for (const patient of [id, bob]) {
    const response = await fetch(`${system.baseUrl}/patient/${patient}`, {
      headers: { 'ocp-apim-subscription-key': system.subscriptionKey }
    })
    await response.body?.cancel()
    t.equal(response.status, 404, 'nothing is left')
  }
})

t.test(`the README has at most ${MAX_README_LINES} lines`, async (t) => {
  t.ok(readme.trimEnd().split('\n').length <= MAX_README_LINES)
})

t.test('every relative link leads to a file or a folder', async (t) => {
  for (const { path, markdown } of pages) {
    for (const [, target] of markdown.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      t.ok(existsSync(join(ROOT, dirname(path), target!)), `${path}: ${target}`)
    }
  }
})

t.test('every npm script that is named exists', async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  for (const { path, markdown } of pages) {
    for (const [, name] of markdown.matchAll(/\bnpm run (?:--\S+ )*([\w:]+)/g)) {
      t.hasProp(scripts, name!, `${path}: npm run ${name}`)
    }
  }
})

t.test('the folders of the README are those of the repository', async (t) => {
  const tree = shellTree()
  t.ok(tree.length > 0)
  for (const path of tree) t.ok(existsSync(join(ROOT, path)), path)
  const services = readdirSync(join(ROOT, 'services')).map((name) => `services/${name}`)
  for (const path of services) t.ok(tree.some((listed) => listed.replace(/\/$/, '') === path), path)
})

/** The paths of the picture under "Folders". */
function shellTree () {
  const picture = /^## Folders\n+```\n(.*?)^```$/ms.exec(readme)?.[1] ?? ''
  let parent = ''
  return picture.trimEnd().split('\n').map((line) => {
    const [, indent, name] = /^( *)(\S+)/.exec(line)!
    if (indent === '') parent = name!
    return indent === '' ? name! : join(parent, name!)
  })
}
