import { Binary } from 'mongodb'
import { test } from 'tap'
import type { Tile } from '../../../common/transparency/documents.ts'
import { parseNote, parseVerifierKey, verifiedSignatures } from '../../../common/transparency/notes.ts'
import {
  asAuditor, asClient, asReader, asSubject, startGateway
} from '../../../emulators/gateway/test/gateway.ts'
import { audit, queryKey, record } from '../app.ts'
import { sequenced } from './log.ts'

test('an auditor loads the log through the gateway, and nobody else does', async (t) => {
  const { app, db, post } = await audit(t)
  await Promise.all(Array.from({ length: 5 }, () => post(record())))
  await sequenced(db, 5)
  // A tile far on, whose path has several segments
  const hashes = Buffer.alloc(7 * 32, 'h')
  const tile: Tile = { _id: '1/1234', _shardKey: '1/1234', width: 7, data: new Binary(hashes) }
  await db.collection<Tile>('tiles').insertOne(tile)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const gateway = await startGateway(t, url, { AUDIT_QUERY_KEY: queryKey })
  const load = async (path: string, headers: Record<string, string> = asAuditor) => {
    const answer = await gateway.call(path, { headers })
    return { ...answer, body: answer.text }
  }

  const keys = await load('/log/keys')
  t.equal(keys.statusCode, 200)
  const checkpoint = await load('/log/checkpoint')
  t.equal(checkpoint.statusCode, 200)
  const note = parseNote(checkpoint.body)
  t.equal(verifiedSignatures(note, [parseVerifierKey(keys.body.trim())]).length, 1)
  const tiles = ['0/000.p/5', 'entries/000.p/5', '1/x001/234.p/7']
  for (const tile of tiles) t.equal((await load(`/log/tile/${tile}`)).statusCode, 200, tile)
  t.equal((await load('/log/tile/1/x001/234.p/7')).body, hashes.toString())
  for (const tile of ['1/x001/235.p/7', '1/x001/234', '0', '', 'x'.repeat(2_000)]) {
    t.equal((await load(`/log/tile/${tile}`)).statusCode, 404, tile)
  }
  for (const key of [asClient, asReader, asSubject, {}]) {
    for (const path of ['checkpoint', 'keys', ...tiles.map((tile) => `tile/${tile}`)]) {
      t.equal((await load(`/log/${path}`, key)).statusCode, 401, path)
    }
  }
})
