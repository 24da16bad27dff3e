import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { LogFile, WholeLines } from '../system/log-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'logs-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))

const noFailure = (code: string) => { throw new Error(code) }
const contents = (name: string) => readFileSync(join(dir, name), 'utf8')

t.test('a full file is kept beside the newest, and the oldest is removed', async (t) => {
  const open = () => new LogFile(join(dir, 'a.log'), noFailure, { bytes: 10, oldFiles: 2 })
  const file = open()
  for (const line of ['1111\n', '2222\n', '3333\n', '4444\n', '5555\n', '6666\n', '7777\n']) file.write(line)
  t.equal(contents('a.log'), '7777\n')
  t.equal(contents('a.log.1'), '5555\n6666\n')
  t.equal(contents('a.log.2'), '3333\n4444\n')
  t.same(readdirSync(dir), ['a.log', 'a.log.1', 'a.log.2'])
  t.equal(statSync(join(dir, 'a.log')).mode & 0o777, 0o600)
  file.destroy()
  const later = open()
  later.write('8888\n')
  t.equal(contents('a.log'), '7777\n8888\n', 'a later start appends')
  later.write('a line that is longer than a file\n')
  t.equal(contents('a.log'), 'a line that is longer than a file\n')
  later.destroy()
})

t.test('what cannot be written is reported once and dropped, until it can be written again', async (t) => {
  const failures: string[] = []
  const path = join(dir, 'missing/b.log')
  const file = new LogFile(path, (code) => failures.push(code))
  file.write('1\n')
  file.write('2\n')
  t.same(failures, ['ENOENT'])
  mkdirSync(join(dir, 'missing'))
  file.write('3\n')
  t.equal(readFileSync(path, 'utf8'), '3\n')
  file.destroy()
})

t.test('only whole lines are passed on, also after a process that was killed within one', async (t) => {
  const lines = new WholeLines()
  const passed: string[] = []
  lines.on('data', (chunk: Buffer) => passed.push(chunk.toString()))
  const killed = new PassThrough()
  killed.pipe(lines, { end: false })
  killed.write('one\ntw')
  killed.write('o\nthree\nha')
  killed.end()
  await once(lines, 'unpipe')
  const next = new PassThrough()
  next.pipe(lines, { end: false })
  next.end('four\n')
  await once(lines, 'unpipe')
  t.equal(passed.join(''), 'one\ntwo\nthree\nha\nfour\n')
  for (const part of passed) t.match(part, /\n$/)
})

t.test('a line without an end is passed on before it takes much memory', async (t) => {
  const lines = new WholeLines()
  let bytes = 0
  lines.on('data', (chunk: Buffer) => { bytes += chunk.length })
  for (let i = 0; i < 40; i++) lines.write(Buffer.alloc(2 ** 16, 'x'))
  t.ok(bytes >= 2 ** 20)
})
