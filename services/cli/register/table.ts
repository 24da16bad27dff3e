import { resultOf, type StoredRecord } from '#common/audit-record.ts'

// 120 characters a line, with the spaces between. The start of a trace id is enough to find it in the logs.
const columns: Array<[title: string, width: number, cell: (record: StoredRecord) => string | undefined]> = [
  ['TIME (UTC)', 12, ({ createdDate }) => createdDate.toISOString().slice(11, 23)],
  ['WHO', 12, ({ onBehalfOf, actor }) => onBehalfOf ?? actor],
  ['FROM', 15, ({ clientAddress }) => clientAddress],
  ['OPERATION', 14, ({ resource }) => `${resource.operation} ${resource.type}`],
  [
    'RESOURCE OR CRITERIA', 36,
    ({ resource, criteria }) => resource.id ?? resource.patientId ?? criteria?.join(', ')
  ],
  ['RESULT', 13, resultOf],
  ['TRACE', 12, ({ operationId }) => operationId.slice(0, 12)]
]

export const header = line(columns.map(([title]) => title))

export function row (record: StoredRecord) {
  return line(columns.map(([,, cell]) => cell(record) ?? ''))
}

function line (cells: string[]) {
  return cells.map((cell, i) => {
    const width = columns[i]![1]
    return (cell.length > width ? `${cell.slice(0, width - 1)}…` : cell).padEnd(width)
  }).join(' ').trimEnd()
}
