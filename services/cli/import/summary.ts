import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
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
 * owner only. Removes the file if nothing was refused.
 *
 * @returns the number of lines
 */
export function writeRefusals (stage: Stage, file: string) {
  // The file may be an input of this import
  const output = openSync(`${file}.new`, 'w', 0o600)
  let count = 0
  for (const row of stage.refused()) {
    writeSync(output, `${refusalLine(row)}\n`)
    count++
  }
  closeSync(output)
  if (count > 0) renameSync(`${file}.new`, file)
  else for (const path of [`${file}.new`, file]) rmSync(path, { force: true })
  return count
}

function refusalLine (row: RefusedRow) {
  const { type, subject, json, reason: violations, place, url } = row
  const reason = { place, violations }
  if (!(TYPES as readonly string[]).includes(type)) return JSON.stringify({ reason, line: json })
  const id = row.id.replace(/ [0-9a-f]{64}$/, '')
  const content = parseExact(json!) as { id?: unknown }
  if (type === 'patient') return JSON.stringify({ reason, patient: { id, ...content } })
  if (type === 'test') return JSON.stringify({ reason, of: subject, id, test: content })
  const fullUrl = url ?? (content.id === undefined ? id : undefined)
  return JSON.stringify({ reason, fullUrl, resource: content })
}
