import type { Span } from '#common/transparency/documents.ts'

/** What is archived in one file, in the collection `archives`. */
export interface Archive {
  /** The id of the register's record of the removal. */
  _id: string
  _shardKey: string
  file: string
  /** Of the file, in hexadecimal digits: the id of the archive in the register's own record. */
  sha256: string
  count: number
  spans: Array<Pick<Span, 'chain' | 'from' | 'to'>>
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
