import { randomBytes } from 'node:crypto'
import { test, type Test } from 'tap'
import { connectionString, database } from '#common/database.ts'
import { createService } from '#common/http/create-service.ts'
import { secrets } from '#common/secrets/key-vault.ts'
import { LOG_ORIGIN } from '#common/transparency/names.ts'
import { parseVerifierKey, signerOf } from '#common/transparency/notes.ts'
import { Findings } from '../../../cli/register/verify/findings.ts'
import { registerOf, verifyRegister } from '../../../cli/register/verify/verify.ts'
import { mongo } from '../../../common/test/mongo.ts'
import { vault } from '../../../common/test/secrets.ts'
import { cosigner, witness } from '../../../witness/test/app.ts'
import { formatKeys } from '../../log/keys.ts'
import { TransparencyLog } from '../../log/log.ts'
import { WitnessClient } from '../../log/witness-client.ts'
import { logIndexes } from '../../log/store.ts'
import { Register, registerIndexes } from '../../register.ts'
import { configOf, record } from '../app.ts'
import { checkLog, checkpointsOf } from './log.ts'

interface Key { seed: string, vkey: string }

function newKey (): Key {
  const bytes = randomBytes(32)
  return { seed: bytes.toString('base64url'), vkey: signerOf(LOG_ORIGIN, bytes).vkey }
}

/** A log whose key is in a vault, and its witness, which trusts the first version. */
async function rotating (t: Test, first: Key) {
  const { connection, db } = await mongo(t)
  const config = configOf(connection, db.databaseName)
  const lines: string[] = []
  const app = createService('audit', config, { write: (line: string) => { lines.push(line) } })
  await app.register(secrets, { settings: config.secrets })
  await app.register(database, {
    connection: connectionString(app.secrets, 'audit-db-connection'),
    name: config.DATABASE_NAME,
    indexes: [...registerIndexes, ...logIndexes]
  })
  t.teardown(() => app.close())
  await app.ready()
  await app.database.connected
  const keys = vault(t)
  keys.add('1', { value: first.seed })
  const key = keys.reader((seed) => signerOf(LOG_ORIGIN, Buffer.from(seed, 'base64url')))
  await key.loaded
  const log = new TransparencyLog({ database: app.database, key, origin: LOG_ORIGIN, log: app.log })
  const witnessed = await witness(t, [signerOf(LOG_ORIGIN, Buffer.from(first.seed, 'base64url'))])
  const url = await witnessed.app.listen({ host: '127.0.0.1', port: 0 })
  const client = new WitnessClient({ url, keys: [parseVerifierKey(cosigner.vkey)] }, log.witnessed, app.log)
  t.teardown(() => client.close())
  return {
    db,
    client,
    log,
    logs: () => lines.join(''),
    /** Adds a version of the key, and waits until it is known. */
    async rotate (id: string, { seed, vkey }: Key, leaked?: string) {
      if (leaked) keys.change(leaked, { expiresOn: new Date() })
      keys.add(id, { value: seed })
      const find = (signers: Array<{ vkey: string }>) => signers.find((signer) => signer.vkey === vkey)
      while (!await key.findOrRefresh(find));
    },
    /** Sequences a record in a chain of its own. @returns the signatures of the newest checkpoint */
    async grow () {
      const register = new Register(app.database, app.log)
      await register.append(record(), '0'.repeat(32))
      await register.close()
      await log.sequencer.sweep()
      return (await checkpointsOf(db)).at(-1)!.signatures
    },
    async findings (...pinned: Key[]) {
      const found: string[] = []
      const findings = new Findings(({ kind, text }) => found.push(`${kind}: ${text}`))
      const trusted = pinned.map(({ vkey }) => parseVerifierKey(vkey))
      const options = { keys: trusted, witnesses: [parseVerifierKey(cosigner.vkey)], kept: [], graceMs: 0 }
      await verifyRegister(registerOf(db), options, findings)
      return found
    }
  }
}

test('a new version of the key is signed by the one before, and the witness follows', async (t) => {
  const [first, second, third] = [newKey(), newKey(), newKey()]
  const { db, client, log, rotate, grow, findings } = await rotating(t, first)
  t.equal((await grow()).length, 1)
  t.equal(await client.submitNewest(), true)

  await rotate('2', second)
  await log.sequencer.sweep()
  t.equal((await checkpointsOf(db)).at(-1)!.signatures.length, 2, 'the newest checkpoint has both signatures')
  t.equal((await grow()).length, 2, 'both versions sign')
  t.equal(await client.submitNewest(), true)

  await rotate('3', third, '1')
  const signatures = await grow()
  t.equal(signatures.length, 2)
  t.equal(await client.submitNewest(), true, 'the witness learns the keys that it does not know')

  const stored = await log.store.keys()
  t.same(stored.map(({ _id }) => _id), [first, second, third].map(({ vkey }) => vkey))
  const published = formatKeys(stored)
  t.match(published, new RegExp(`^${first.vkey.replaceAll(/[+/.]/g, '\\$&')}\n\n${LOG_ORIGIN}/keys\n`))
  t.equal(published.match(/^— /gm)?.length, 2, 'each later key has a note')
  t.match(stored.slice(1).map(({ note }) => note!.split('\n')[1]), [second.vkey, third.vkey])
  t.same(await findings(first), [], 'whoever trusts the first key trusts them all')
  t.match((await findings(newKey())).join('\n'), /key unknown/)
  await checkLog(t, db)
})

test('after the key has leaked, the new one has no hand-over', async (t) => {
  const [first, second] = [newKey(), newKey()]
  const { client, rotate, grow, findings, logs } = await rotating(t, first)
  await grow()
  t.equal(await client.submitNewest(), true)
  await rotate('2', second, '1')
  t.equal((await grow()).length, 1, 'the key that leaked signs no more')
  t.match(logs(), 'no valid key can sign the hand-over to this one')
  await t.rejects(client.submitNewest(), { message: 'the witness answers 403' })
  t.match((await findings(first)).join('\n'), `key unknown: ${second.vkey} is not signed by a key before it`)
  t.same(await findings(first, second), [], 'who was given it trusts it')
})
