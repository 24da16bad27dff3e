import { hash } from 'node:crypto'
import {
  closeSync, createReadStream, existsSync, openSync, realpathSync, renameSync, rmSync, writeSync
} from 'node:fs'
import { createInterface } from 'node:readline'
import { parseExact } from './fhir/source.ts'
import { TYPES } from './resources.ts'
import type { Reason, RefusedRow, Stage } from './stage.ts'

const amount = (count: number) => count.toLocaleString('en')

/** What was stored, what was there already and what was refused and why, without any value. */
export function summary (stage: Stage, others: Map<string, number>, dryRun: boolean): string {
  const counts = stage.counts()
  const rows = counts.map(({ type, stored, before, refused, waiting, within }) => {
    const inside = within > 0 ? `(${amount(within)} within other test results)` : ''
    return [type === '' ? 'unreadable' : type, ...[stored, before, refused, waiting].map(amount), inside]
  })
  const head = ['', dryRun ? 'valid' : 'stored', 'there already', 'refused', 'not done', '']
  const lines = [...table([head, ...rows])]
  const groups = stage.groups().flatMap(({ type, reason, count, place }) => [
    [amount(count), type === '' ? 'unreadable' : type, reasonText(reason), `first at ${place}`]
  ])
  if (groups.length > 0) lines.push('', 'Refused:', ...table(groups))
  const ignored = [...others].map(([type, count]) => [amount(count), `${type} (all of it)`])
  const unread = stage.unread().map(({ path, count }) => [amount(count), path])
  if (ignored.length + unread.length > 0) {
    lines.push('', 'Left behind, since the API has no property for it:', ...table([...ignored, ...unread]))
  }
  return `${lines.join('\n')}\n`
}

/** The first violations, with a * for the index of an item. */
function reasonText (reason: Reason) {
  const shown = reason.slice(0, 3).map(({ pointer, message }) => {
    const path = pointer.replace(/\/\d+(?=\/|$)/g, '/*')
    return path === '' || path === '#' ? message : `${path} ${message}`
  })
  return shown.join('; ') + (reason.length > 3 ? `; and ${reason.length - 3} more` : '')
}

/** Rows in columns; numbers are aligned to the right. */
function table (rows: string[][]) {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows.map((row) => row.map((cell, i) => {
    const isNumber = /^[\d,]+$/.test(cell) || (i > 0 && rows[0]![0] === '')
    return isNumber ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)
  }).join('  ').trimEnd())
}

/**
 * Writes what was refused as NDJSON that can be imported again, each line with its reason; readable by its
 * owner only. Keeps what earlier imports have written unless it was imported again, that is, if its input or
 * the file itself is one of `inputs` (paths). Removes the file if nothing is left.
 *
 * @returns the number of lines that are new, and of those that were kept
 */
export async function writeRefusals (stage: Stage, file: string, inputs: string[]) {
  const output = openSync(`${file}.new`, 'w', 0o600)
  let [refused, kept] = [0, 0]
  for (const row of stage.refused()) {
    const { reason, content } = refusalOf(row)
    stage.countOccurrence(REFUSAL, hash('sha256', JSON.stringify(content)))
    writeSync(output, `${JSON.stringify({ reason, ...content })}\n`)
    refused++
  }
  if (existsSync(file) && !inputs.includes(realpathSync(file))) {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      if (line.trim() === '' || wasImportedAgain(stage, line, inputs)) continue
      writeSync(output, `${line}\n`)
      kept++
    }
  }
  closeSync(output)
  if (refused + kept > 0) renameSync(`${file}.new`, file)
  else for (const path of [`${file}.new`, file]) rmSync(path, { force: true })
  return { refused, kept }
}

const REFUSAL = 'refusal'

/** Whether a line of a file of refusals is of an input that was imported again, or was refused again. */
function wasImportedAgain (stage: Stage, line: string, inputs: string[]) {
  try {
    const { reason, ...content } = parseExact(line) as { reason?: { input?: string } }
    if (reason?.input !== undefined && inputs.includes(reason.input)) return true
    return stage.hasOccurred(REFUSAL, hash('sha256', JSON.stringify(content)))
  } catch {
    // Edited by hand
    return false
  }
}

function refusalOf (row: RefusedRow) {
  const { type, subject, json, reason: violations, place, url, input } = row
  const reason = { place, ...(input !== null && { input }), violations }
  if (!(TYPES as readonly string[]).includes(type)) return { reason, content: { line: json } }
  const id = row.id.replace(/ [0-9a-f]{64}$/, '')
  const content = parseExact(json!) as { id?: unknown }
  if (type === 'patient') return { reason, content: { patient: { id, ...content } } }
  if (type === 'test') return { reason, content: { of: subject, id, test: content } }
  const fullUrl = url ?? (content.id === undefined ? id : undefined)
  return { reason, content: { fullUrl, resource: content } }
}
