import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import { summed, zipOf, type PackFile } from '../../evidence/zip.ts'
import { sha256, unzipped } from './packs.ts'

const DATE = new Date('2026-03-01T12:00:00Z')
const streamOf = (files: AsyncIterable<PackFile>) => Readable.from(zipOf(files, DATE), { objectMode: false })

test('other programs unzip the files, of any size and number, and their sums are right', async (t) => {
  const long = randomBytes(200_000).toString('hex')
  const contents = new Map([['empty', ''], ['long', long], ['dir/ü', 'ü']])
  for (let i = 0; i < 2_000; i++) contents.set(`many/${i}`, String(i))
  const sums: string[] = []
  async function * files (): AsyncGenerator<PackFile> {
    for (const [name, content] of contents) {
      yield { name, content: name === 'long' ? Readable.from([long.slice(0, 9), long.slice(9)]) : content }
    }
  }
  const pack = await unzipped(t, await buffer(streamOf(summed(files(), sums))))
  t.same(pack.names().length, contents.size)
  for (const [name, content] of contents) t.ok(pack.read(name) === content, name)
  t.same(sums, [...contents].map(([name, content]) => `${sha256(content)}  ${name}\n`))
})

test('no more is made than is taken, and whoever stops to read ends it', async (t) => {
  let made = 0
  const ended = Promise.withResolvers<void>()
  async function * endless () {
    try {
      for (;; made++) yield randomBytes(50_000).toString('hex')
    } finally {
      ended.resolve()
    }
  }
  async function * files (): AsyncGenerator<PackFile> {
    yield { name: 'endless', content: endless() }
  }
  const zip = streamOf(summed(files(), []))
  await once(zip, 'readable')
  t.ok(zip.read())
  t.ok(made < 10, 'the first chunks only')
  zip.destroy()
  await ended.promise
})

test('a file that fails, fails the zip', async (t) => {
  async function * failing (): AsyncGenerator<string> {
    yield 'a'
    throw new Error('failed')
  }
  async function * files (): AsyncGenerator<PackFile> {
    yield { name: 'failing', content: failing() }
  }
  await t.rejects(buffer(streamOf(files())), /failed/)
})
