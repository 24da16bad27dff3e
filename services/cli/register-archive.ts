import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Collection } from 'mongodb'
import { SettingsError } from '#common/config.ts'
import { archive } from './register/archive/archive.ts'
import type { Hold } from './register/archive/documents.ts'
import { isHold } from './register/archive/holds.ts'
import { openRegister } from './register/connection.ts'
import { loadConfig } from './system/config.ts'
import { StartError } from './system/state.ts'

const USAGE = `Moves old records of the audit register to files, with the proofs that they were in it.

npm run register:archive -- --before DATE [--dir DIR]
npm run register:archive -- --hold "patient ID" | --release "patient ID" | --holds

  --before DATE         records from before this date that a witness has signed
  --dir DIR             the directory of the files (default .local/archive)
  --hold "patient ID"   records that concern this patient stay in the database
  --release "patient ID"  they may be archived again
  --holds               lists what is held
`

try {
  await main()
} catch (error) {
  const { code, name } = error as NodeJS.ErrnoException
  const isExpected = error instanceof StartError || error instanceof SettingsError ||
    code?.startsWith?.('ERR_PARSE_ARGS')
  // The driver's messages could quote a document
  const reason = isExpected ? (error as Error).message : `failed (${code ?? name}); run it again`
  process.stderr.write(`npm run register:archive: ${reason}\n`)
  process.exitCode = 1
}

async function main () {
  const { values } = parseArgs({
    options: {
      before: { type: 'string' },
      dir: { type: 'string' },
      hold: { type: 'string', multiple: true, default: [] },
      release: { type: 'string', multiple: true, default: [] },
      holds: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  const { hold, release, holds, before, dir } = values
  const isIdle = hold.length + release.length === 0 && !holds && before === undefined
  if (values.help || isIdle) return process.stdout.write(USAGE)
  for (const text of [...hold, ...release]) {
    if (!isHold(text)) throw new StartError('--hold and --release take "patient ID"')
  }
  const date = before === undefined ? undefined : new Date(before)
  if (date && !(date < new Date())) throw new StartError('--before takes a past date, such as 2026-11-28')

  const config = loadConfig(process.env)
  const { client, db } = await openRegister(config, 'rotation', 'audit-db-admin-connection')
  try {
    const [added, released] = [hold, release].map((texts) => texts.map((text) => text.toLowerCase()))
    await changeHolds(db.collection<Hold>('holds'), added!, released!, holds)
    if (!date) return
    const count = await archive(db, { before: date, dir: resolve(dir ?? `${config.LOCAL_DIR}/archive`) })
    process.stdout.write(`${count.toLocaleString('en')} records archived\n`)
  } finally {
    await client.close()
  }
}

async function changeHolds (holds: Collection<Hold>, added: string[], released: string[], listed: boolean) {
  for (const _id of added) {
    const hold = { _shardKey: 'holds', date: new Date() }
    await holds.updateOne({ _id }, { $setOnInsert: hold }, { upsert: true })
  }
  for (const _id of released) await holds.deleteOne({ _id })
  if (!listed) return
  for await (const { _id, date } of holds.find().sort({ _id: 1 })) {
    process.stdout.write(`${_id} since ${date.toISOString()}\n`)
  }
}
