import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { SettingsError } from '#common/config.ts'
import { NoteError, parseVerifierKey } from '#common/transparency/notes.ts'
import { openRegister } from './register/connection.ts'
import { Findings } from './register/verify/findings.ts'
import { registerOf, verifyRegister, type Summary } from './register/verify/verify.ts'
import { loadConfig } from './system/config.ts'
import { StartError } from './system/state.ts'

const USAGE = `Checks the audit register: each finding is a line. Exits with 1 if there is one.

npm run register:verify -- [--checkpoint FILE]… [--witness KEY]… [--key KEY] [--archive DIR] [--from --to]

  --checkpoint FILE  a checkpoint that you kept or had from a witness, or a directory of them
  --witness KEY      the public key of a witness: its signatures are checked, and must not be late
  --key KEY          the public key of the log that you trust; else the first one in the database
  --archive DIR      the directory of archived records
  --from DATE        only what was sequenced from this date on
  --to DATE          only what was sequenced before this date
  --grace SECONDS    how long a record may be stored and not sequenced (default 120)
`

const FOUND = 1
const UNREADABLE = 2

try {
  process.exitCode = await main()
} catch (error) {
  const { code, name } = error as NodeJS.ErrnoException
  const isExpected = error instanceof StartError || error instanceof SettingsError ||
    error instanceof NoteError || code?.startsWith?.('ERR_PARSE_ARGS')
  // The driver's messages could quote a document
  const reason = isExpected ? (error as Error).message : `cannot read the register (${code ?? name})`
  process.stderr.write(`npm run register:verify: ${reason}\n`)
  process.exitCode = UNREADABLE
}

async function main () {
  const { values } = parseArgs({
    options: {
      checkpoint: { type: 'string', multiple: true, default: [] },
      witness: { type: 'string', multiple: true, default: [] },
      key: { type: 'string', multiple: true, default: [] },
      archive: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string' },
      grace: { type: 'string', default: '120' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (!/^\d{1,6}$/.test(values.grace)) throw new StartError('--grace takes a number of seconds')
  const options = {
    from: dateOf('--from', values.from),
    to: dateOf('--to', values.to),
    keys: values.key.map(parseVerifierKey),
    witnesses: values.witness.map(parseVerifierKey),
    kept: values.checkpoint.flatMap(keptIn),
    archive: values.archive,
    graceMs: Number(values.grace) * 1_000
  }
  const { client, db } = await openRegister(loadConfig(process.env), 'viewer', 'audit-db-viewer-connection')
  try {
    const findings = new Findings(({ kind, text }) => process.stdout.write(`${kind}: ${text}\n`))
    const started = performance.now()
    const summary = await verifyRegister(registerOf(db), options, findings)
    const seconds = (performance.now() - started) / 1_000
    process.stdout.write(`${linesOf(summary, values.key.length > 0, seconds, findings.count).join('\n')}\n`)
    return findings.count > 0 ? FOUND : 0
  } finally {
    await client.close()
  }
}

function dateOf (option: string, text: string | undefined) {
  if (text === undefined) return undefined
  const date = new Date(text)
  if (isNaN(date.getTime())) throw new StartError(`${option} takes a date, such as 2026-11-28T13:00Z`)
  return date
}

/** The checkpoint in the file, or those in the directory. */
function keptIn (path: string) {
  try {
    const files = statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [path]
    return files.map((file) => ({ name: basename(file), note: readFileSync(file, 'utf8') }))
  } catch (error) {
    throw new StartError(`cannot read ${path} (${(error as NodeJS.ErrnoException).code})`)
  }
}

function linesOf (summary: Summary, isPinned: boolean, seconds: number, count: number) {
  const { first, end, size, waiting, unread, archives, witnessed } = summary
  const number = (n: number) => n.toLocaleString('en')
  const rate = number(Math.round((end - first) / seconds))
  const range = end - first === size ? '' : ` (entries ${number(first)} to ${number(end - 1)})`
  return [
    `checked ${number(end - first)} of ${number(size)} entries${range}`,
    `took ${seconds.toFixed(1)} s, ${rate} entries a second`,
    ...waiting > 0 ? [`${number(waiting)} records are newer than the log`] : [],
    ...archives.map(({ file, count, date }) =>
      `${number(count)} records were archived in ${file} on ${date.toISOString()}`),
    ...unread > 0 ? [`${number(unread)} are archived and not read: --archive names their directory`] : [],
    ...witnessed.map(({ name, isChecked, size, first, last }) =>
      `${name} witnesses since ${first.toISOString()}: ${number(size)} entries on ${last.toISOString()}` +
      `${isChecked ? '' : ' (not checked: give its key with --witness)'}`),
    ...witnessed.length === 0 ? ['nothing is witnessed'] : [],
    ...isPinned ? [] : ['the key of the log is the one in the database: give yours with --key'],
    count === 0 ? 'no finding' : `${number(count)} findings`
  ]
}
