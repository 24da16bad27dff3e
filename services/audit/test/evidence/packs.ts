import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const run = promisify(execFile)

/** A pack that was unzipped, with Python where there is no unzip. The test removes it. */
export async function unzipped (t: Test, zip: Uint8Array) {
  const dir = mkdtempSync(join(tmpdir(), 'evidence-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const [file, pack] = [join(dir, 'pack.zip'), join(dir, 'pack')]
  writeFileSync(file, zip)
  try {
    await run('unzip', ['-q', file, '-d', pack])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await run('python3', ['-m', 'zipfile', '-e', file, pack])
  }
  const read = (name: string) => readFileSync(join(pack, name), 'utf8')
  return {
    dir: pack,
    read,
    write: (name: string, content: string) => writeFileSync(join(pack, name), content),
    /** The names of all files. */
    names: () => readdirSync(pack, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => relative(pack, join(parentPath, name)))
      .sort(),
    records: () => linesOf(read('records.ndjson')).map((line) => JSON.parse(line)),
    /** The rows of a CSV file without quoted commas, by the names of its columns. */
    rows (name: string) {
      const [names = [], ...rows] = read(name).trimEnd().split('\r\n').map((line) => line.split(','))
      return rows.map((cells) => Object.fromEntries(cells.map((cell, i) => [names[i]!, cell])))
    }
  }
}

export type Pack = Awaited<ReturnType<typeof unzipped>>

/** What sha256sum says of a pack; throws where a file was changed. */
export function sha256sum ({ dir }: Pack) {
  return execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: dir, encoding: 'utf8', stdio: 'pipe' })
}

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '')
