import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const run = promisify(execFile)
const SOURCES = {
  tlog: import.meta.dirname,
  'check-proof': resolve(import.meta.dirname, '../../../docs/check-proof')
}
const BUILD_MS = 300_000

/** Why the programs cannot run, to skip their tests with. */
export async function missingGo () {
  try {
    await run('go', ['version'])
    return false
  } catch {
    process.stderr.write('Go is not installed: no proof is checked by code that is not ours\n')
    return 'needs Go'
  }
}

/** The Go programs, built in a directory that the test removes. */
export async function buildPrograms (t: Test) {
  const dir = await mkdtemp(join(tmpdir(), 'tlog-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  for (const [name, cwd] of Object.entries(SOURCES)) {
    await run('go', ['build', '-o', join(dir, name), '.'], { cwd, timeout: BUILD_MS })
  }
  let files = 0
  return {
    /** The path of a file with `content`. */
    async file (content: string | Uint8Array) {
      const path = join(dir, `file-${files++}`)
      await writeFile(path, content)
      return path
    },
    /** What `tlog` prints. Rejects with its reason where it refuses. */
    tlog: async (...args: string[]) => await output(join(dir, 'tlog'), args),
    /** What docs/check-proof prints for the `answer` of the API. */
    checkProof: async (keys: string[], answer: object) =>
      await output(join(dir, 'check-proof'), keys, JSON.stringify(answer)),
    /** What it prints for an unzipped pack of evidence in `pack`. */
    checkPack: async (keys: string[], pack: string) =>
      await output(join(dir, 'check-proof'), [...keys, pack])
  }
}

async function output (program: string, args: string[], input = '') {
  const running = run(program, args)
  running.child.stdin!.on('error', () => {}).end(input)
  try {
    return (await running).stdout.trim()
  } catch (error) {
    throw new Error((error as { stderr: string }).stderr.trim())
  }
}
