/** One record of the audit register, as it is stored. */
export interface AuditRecord {
  id: string
  createdDate: Date
  sourceSystemName: string
  resource: { type: string, id?: string, patientId?: string, operation: string }
  actor?: string
  clientAddress?: string
  requestId?: string
  operationId?: string
  criteria?: string[]
  disclosed?: Array<{ id: string, version: string }>
  outcome?: string
  attemptOf?: string
}

// 120 columns with a space between two. The beginning of a trace id is enough to find it in the logs.
const columns: Array<[title: string, width: number, cell: (record: AuditRecord) => string | undefined]> = [
  ['TIME (UTC)', 12, ({ createdDate }) => createdDate.toISOString().slice(11, 23)],
  ['WHO', 12, ({ actor }) => actor],
  ['FROM', 15, ({ clientAddress }) => clientAddress],
  ['OPERATION', 14, ({ resource }) => `${resource.operation} ${resource.type}`],
  ['RESOURCE OR CRITERIA', 36, ({ resource, criteria }) => resource.id ?? resource.patientId ?? criteria?.join(', ')],
  ['RESULT', 13, result],
  ['TRACE', 12, ({ operationId }) => operationId?.slice(0, 12)]
]

export const header = line(columns.map(([title]) => title))

export function row (record: AuditRecord) {
  return line(columns.map(([,, cell]) => cell(record) ?? ''))
}

/** What came of it, in a word or two. */
export function result ({ disclosed, outcome, attemptOf }: AuditRecord) {
  if (outcome) return outcome
  if (disclosed) return disclosed.length === 0 ? 'nothing found' : `${disclosed.length} disclosed`
  return attemptOf ? 'repeat' : 'attempt'
}

function line (cells: string[]) {
  return cells.map((cell, i) => {
    const width = columns[i]![1]
    return (cell.length > width ? `${cell.slice(0, width - 1)}…` : cell).padEnd(width)
  }).join(' ').trimEnd()
}
