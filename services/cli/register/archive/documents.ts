import type { Span } from '../verify/documents.ts'

/** What is archived in one file, in the collection `archives`. */
export interface Archive {
  /** The index of the first entry. */
  _id: number
  _shardKey: string
  file: string
  /** Of the file, in hexadecimal digits: the id of the archive in the register's own record. */
  sha256: string
  last: number
  count: number
  spans: Array<Pick<Span, 'chain' | 'from' | 'to'>>
  /** The id of the register's record of the removal. */
  recordId: string
  date: Date
  /** Set when all records are removed from the database. */
  removedDate?: Date
}

/** What must stay, in the collection `holds`. */
export interface Hold {
  /** `patient <id>` */
  _id: string
  _shardKey: string
  date: Date
}
