// What is imported is staged in a file, so that reports find their observations and patients in any order of
// the input, and that an import which was interrupted goes on.

export const WAITING = 0
export const STORED = 1
export const REFUSED = 2
/** A patient that was stored, and then deleted by others. */
export const DELETED = 3

export const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA secure_delete = ON;
  PRAGMA cache_size = -32768;
  CREATE TABLE IF NOT EXISTS resources (
    seq INTEGER PRIMARY KEY,
    type TEXT NOT NULL, id TEXT NOT NULL, url TEXT, subject TEXT, hash TEXT NOT NULL,
    json TEXT, place TEXT NOT NULL, run INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0,
    stored_run INTEGER, stored_id TEXT, within TEXT, reason TEXT, input TEXT, UNIQUE (type, id)
  );
  CREATE INDEX IF NOT EXISTS by_url ON resources (url) WHERE url IS NOT NULL;
  CREATE INDEX IF NOT EXISTS by_state ON resources (type, run, state, seq);
  CREATE TABLE IF NOT EXISTS unread (path TEXT PRIMARY KEY, count INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY);
  CREATE TABLE IF NOT EXISTS salts (salt TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS identifiers (hash TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TEMP TABLE occurrences (
    type TEXT, hash TEXT, count INTEGER NOT NULL, PRIMARY KEY (type, hash)
  ) WITHOUT ROWID;
`

/** For a file that an earlier version made. */
export const ADD_INPUT = 'ALTER TABLE resources ADD COLUMN input TEXT'
