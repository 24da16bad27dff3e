import { setTimeout as sleep } from 'node:timers/promises'
import type { Finding } from '../../review/documents.ts'
import { audit, queryKey, record } from '../app.ts'

export type Service = Awaited<ReturnType<typeof audit>>

export const asReviewer = {
  'x-functions-key': queryKey, 'x-audit-actor': 'an-auditor', 'x-on-behalf-of': 'reviewer-17'
}

/** The record of an access to a patient that leads to a finding at once. */
export const emergency = (patient: string, more: object = {}) => record({
  resource: { type: 'patient', id: patient, operation: 'load' },
  disclosed: [{ id: patient, version: 'v' }],
  actor: 'ward-7',
  onBehalfOf: 'nurse-1',
  purpose: 'BTG',
  reason: 'Unconscious on arrival',
  ...more
})

export const findingsOf = ({ db }: Pick<Service, 'db'>) =>
  db.collection<Finding>('findings').find().sort({ date: 1, _id: 1 }).toArray()

/** Waits until the review has followed the log to its end, with every record that is stored now. */
export async function reviewed ({ db }: Pick<Service, 'db'>) {
  const blocks = await db.collection('blocks').find().toArray()
  const size = blocks.reduce((sum, { records }) => sum + records.length, 0)
  for (;;) {
    const document = await db.collection<{ _id: string, position: number }>('review').findOne()
    if ((document?.position ?? 0) >= size) return
    await sleep(50)
  }
}
