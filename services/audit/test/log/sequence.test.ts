import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { mongo } from '../../../common/test/mongo.ts'
import type { Block } from '../../../common/transparency/documents.ts'
import { LOG_ORIGIN } from '../../../common/transparency/names.ts'
import { signerOf } from '../../../common/transparency/notes.ts'
import { cosigner, witness } from '../../../witness/test/app.ts'
import { loadConfig } from '../../config.ts'
import { sequence } from '../../sequence.ts'
import { hostKey, logKey, queryKey, record } from '../app.ts'
import { checkLog, checkpointsOf } from './log.ts'

test('one run completes the log and has it witnessed, and says who did not', async (t) => {
  const { connection, db } = await mongo(t)
  const records = Array.from({ length: 3 }, (_, i) => ({
    ...record(), id: `id-${i}`, seq: i + 1, createdDate: new Date(), operationId: '0'.repeat(32)
  }))
  const left = { _id: 'left:1', _shardKey: 'left', chain: 'left', firstSeq: 1, records }
  await db.collection<Block>('blocks').insertOne(left as never)
  const config = (url: string) => loadConfig({
    LOG_LEVEL: 'silent',
    ALLOWED_CALLERS: '127.0.0.1/32',
    AUDIT_HOST_KEY: hostKey,
    AUDIT_QUERY_KEY: queryKey,
    AUDIT_LOG_KEY: logKey,
    AUDIT_DB_CONNECTION: connection,
    DATABASE_NAME: db.databaseName,
    WITNESSES: `${cosigner.vkey} ${url}`
  })
  const away = createServer().listen(0, '127.0.0.1')
  await once(away, 'listening')
  const { port } = away.address() as AddressInfo
  await once(away.close(), 'close')

  const [name] = cosigner.vkey.split('+')
  const url = `http://127.0.0.1:${port}`
  t.strictSame(await sequence(config(url)), { size: 3, adopted: 0, unwitnessed: [name] })
  t.strictSame((await checkpointsOf(db)).at(-1)!.cosignatures, [])
  const { app } = await witness(t, [signerOf(LOG_ORIGIN, Buffer.from(logKey, 'base64url'))])
  await app.listen({ host: '127.0.0.1', port })
  for (let run = 0; run < 2; run++) {
    t.strictSame(await sequence(config(url)), { size: 3, adopted: 0, unwitnessed: [] })
    t.match((await checkpointsOf(db)).at(-1)!.cosignatures, [`— ${name} `])
  }
  t.strictSame((await checkLog(t, db)).ids, ['id-0', 'id-1', 'id-2'])
})
