import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { formatCheckpoint, formatProof } from '#common/transparency/checkpoints.ts'
import { cosignerOf, formatNote, signerOf } from '#common/transparency/notes.ts'
import { formatTilePath, parseTilePath, TILE_HEIGHT, TILE_WIDTH } from '#common/transparency/tiles.ts'
import {
  consistencyProof, inclusionProof, leafHash, rootOfRange, sha256, TreeBuilder
} from '#common/transparency/tree.ts'
import { buildPrograms, missingGo } from './tlog/programs.ts'

// As .taprc has it, for a run without it: the first build downloads and compiles the modules
t.setTimeout(600_000)

const skip = await missingGo()
if (skip) t.plan(0, skip)
else await checkFormats()

async function checkFormats () {
  const ORIGIN = 'example.org/register'
  // Two levels of full tiles, and a partial one of each
  const SIZE = TILE_WIDTH ** 2 + TILE_WIDTH + 3
  const log = signerOf(ORIGIN, randomBytes(32))
  const stranger = signerOf(ORIGIN, randomBytes(32))
  const witness = cosignerOf('example.org/witness', randomBytes(32))

  const entries = Array.from({ length: SIZE }, (_, i) => sha256(Buffer.from(`entry ${i}`)))
  const nodes = new Map<string, Buffer>()
  const tree = new TreeBuilder()
  for (const entry of entries) {
    tree.append(leafHash(entry), (level, index, root) => nodes.set(`${level}/${index}`, root))
  }
  const getNode = async (level: number, index: number) => nodes.get(`${level}/${index}`)!
  const checkpointOf = async (size: number, signer = log) => {
    const text = formatCheckpoint({ origin: ORIGIN, size, root: await rootOfRange(0, size, getNode) })
    return formatNote(text, [signer.sign(text), witness.sign(text, 1_700_000_000)])
  }
  const { file, tlog, checkProof } = await buildPrograms(t)
  const key = [ORIGIN, log.vkey]
  const forged = (text: string) => text.replace(/^[0-9]+$/m, (size) => String(Number(size) - 1))

  t.test('Go accepts checkpoints of the log, and no forged one', async (t) => {
    const checkpoint = await checkpointOf(SIZE)
    t.equal(await tlog('checkpoint', ...key, await file(checkpoint)),
      `${SIZE} ${tree.root.toString('base64')}`)
    t.equal(await tlog('checkpoint', ...key, await file(await checkpointOf(0))),
      '0 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')
    for (const refused of [forged(checkpoint), await checkpointOf(SIZE, stranger)]) {
      await t.rejects(tlog('checkpoint', ...key, await file(refused)), /failed to verify/)
    }
    await t.rejects(tlog('checkpoint', 'example.org/other', log.vkey, await file(checkpoint)), /Origin/)
  })

  t.test('Go accepts cosignatures of the witness, and no forged one', async (t) => {
    const checkpoint = await checkpointOf(SIZE)
    const printed = await tlog('cosignature', ...key, await file(checkpoint), witness.vkey)
    t.equal(printed, 'example.org/witness 2023-11-14T22:13:20Z')
    const [text] = checkpoint.split('\n\n') as [string]
    const later = witness.sign('another text\n', 1_700_000_000)
    const other = formatNote(`${text}\n`, [log.sign(`${text}\n`), later])
    await t.rejects(tlog('cosignature', ...key, await file(other), witness.vkey), /failed to verify/)
    const unsigned = formatNote(`${text}\n`, [log.sign(`${text}\n`)])
    await t.rejects(tlog('cosignature', ...key, await file(unsigned), witness.vkey), /no cosignature/)
  })

  t.test('Go accepts proofs of inclusion, and no forged one', async (t) => {
    const places: Array<[number, number]> =
      [[0, 1], [0, SIZE], [777, 1_001], [65_535, SIZE], [SIZE - 1, SIZE]]
    for (const [index, size] of places) {
      const hashes = await inclusionProof(index, size, getNode)
      const checkpoint = await checkpointOf(size)
      const proof = await file(formatProof({ index, hashes, checkpoint }))
      await t.resolves(tlog('inclusion', ...key, proof, await file(entries[index]!)), `${index} of ${size}`)
      await t.rejects(tlog('inclusion', ...key, proof, await file(entries[index + 1] ?? Buffer.of())))
      const elsewhere = await file(formatProof({ index: index + 1, hashes, checkpoint }))
      await t.rejects(tlog('inclusion', ...key, elsewhere, await file(entries[index]!)))
    }
  })

  t.test('Go accepts proofs of consistency, and no forged one', async (t) => {
    const sizes: Array<[number, number]> =
      [[1, 2], [256, SIZE], [777, 1_001], [1_001, 1_001], [SIZE - 1, SIZE]]
    for (const [old, size] of sizes) {
      const hashes = await consistencyProof(old, size, getNode)
      const lines = await file(hashes.map((hash) => `${hash.toString('base64')}\n`).join(''))
      const [before, after] = [await file(await checkpointOf(old)), await file(await checkpointOf(size))]
      await t.resolves(tlog('consistency', ...key, before, after, lines), `${old} to ${size}`)
      const text = formatCheckpoint({ origin: ORIGIN, size: old, root: sha256(Buffer.from('other')) })
      const rewritten = await file(formatNote(text, [log.sign(text)]))
      await t.rejects(tlog('consistency', ...key, rewritten, after, lines), 'another tree')
    }
  })

  t.test('Go rebuilds the tree from the tiles, and refuses one that was changed', async (t) => {
    let changed = ''
    const server = createServer(async ({ url = '' }, response) => {
      if (url === '/checkpoint') return response.end(await checkpointOf(SIZE))
      const tile = parseTilePath(url.slice('/tile/'.length))
      if (!tile) return response.writeHead(404).end()
      const { level, index, width } = tile
      const own = Array.from({ length: width }, (_, i) => index * TILE_WIDTH + i)
      const bytes = level === 'entries'
        ? Buffer.concat(own.flatMap((i) => [Buffer.of(0, 32), entries[i]!]))
        : Buffer.concat(own.map((i) => nodes.get(`${level * TILE_HEIGHT}/${i}`)!))
      if (formatTilePath(tile) === changed) bytes[bytes.length - 1]! ^= 1
      response.end(bytes)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    t.equal(await tlog('tiles', ...key, url), String(SIZE))
    const paths =
      ['entries/000', 'entries/257.p/3', '0/003', '0/257.p/3', '1/000', '1/001.p/1', '2/000.p/1']
    for (changed of paths) {
      await t.rejects(tlog('tiles', ...key, url), changed)
    }
  })

  t.test('the program of the docs accepts what the API answers, and nothing else', async (t) => {
    const record = { b: 'ü < & \u2028 "', a: { d: 1, c: ['x'] }, seq: 12_345 }
    const canonical = '{"a":{"c":["x"],"d":1},"b":"ü < & \u2028 \\"","seq":12345}'
    const salt = randomBytes(16)
    const entry = sha256(salt, Buffer.from(canonical))
    const two = new TreeBuilder()
    two.append(leafHash(entry))
    two.append(leafHash(entries[0]!))
    const text = formatCheckpoint({ origin: ORIGIN, size: 2, root: two.root })
    const answerOf = (signatures: string[]) => {
      const checkpoint = formatNote(text, signatures)
      const proof = formatProof({ index: 0, hashes: [leafHash(entries[0]!)], checkpoint })
      return { record, salt: salt.toString('base64'), index: 0, proof }
    }
    const keys = [log.vkey, witness.vkey]
    const answer = answerOf([log.sign(text), witness.sign(text)])
    t.equal(await checkProof(keys, answer), 'record 0 of 2, witnessed by example.org/witness')
    await t.rejects(checkProof(keys, { ...answer, record: { ...record, seq: 1 } }), /root/)
    await t.rejects(checkProof(keys, { ...answer, salt: randomBytes(16).toString('base64') }), /root/)
    await t.rejects(checkProof(keys, answerOf([log.sign(text)])), /not witnessed/)
    await t.rejects(checkProof([stranger.vkey, witness.vkey], answer), /no log signature/)
  })
}
