import { existsSync, rmSync } from 'node:fs'
import { replaceFile } from '#common/files.ts'

const LIBRARIES = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)

/** libfaketime, which changes the wall clock of single processes; undefined where it is not installed. */
export const faketime = LIBRARIES.find(existsSync)

/** The wall clock of one process. Its monotonic clock, which timers use, stays. */
export class Clock {
  #file: string

  constructor (file: string) {
    this.#file = file
    this.set(0)
  }

  /** The environment of the process. */
  get env (): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: faketime,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      // In seconds
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1'
    }
  }

  /** Sets it to `seconds` after or, where they are negative, before the real time, within a second. */
  set (seconds: number) {
    replaceFile(this.#file, `${seconds < 0 ? '' : '+'}${seconds}\n`)
  }
}

/** Removes what libfaketime leaves of a process that was killed. */
export function removeTraces (pid: number) {
  const names = [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]
  for (const name of names) rmSync(`/dev/shm/${name}`, { force: true })
}
