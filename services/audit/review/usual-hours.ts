const CACHED_MS = 15 * 60_000
const MINUTE_MS = 60_000

/** The usual hours of the day in a time zone: outside of them it is night. */
export class UsualHours {
  #open: number
  #close: number
  #format: Intl.DateTimeFormat
  /** The difference between the local time and UTC in ms, of a quarter of an hour. */
  #offset = { quarter: NaN, ms: 0 }

  /**
   * @param hours such as 06:00-22:00; the same time twice means all day
   * @param timeZone of the IANA database, such as Europe/London
   * @throws {RangeError} there is no such time zone
   */
  constructor (hours: string, timeZone: string) {
    const [open, close] = hours.split('-').map((time) => {
      const [hour, minute] = time.split(':').map(Number)
      return hour! * 60 + minute!
    })
    this.#open = open!
    this.#close = close!
    const numeric = {
      year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric'
    } as const
    this.#format = new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', ...numeric })
  }

  /** The local day with which the night of a date began, as 2026-11-28; undefined in the usual hours. */
  nightOf (date: Date) {
    if (this.#open === this.#close) return undefined
    const local = date.getTime() + this.#offsetAt(date)
    const minute = Math.floor(local / MINUTE_MS) % (24 * 60)
    const isUsual = this.#open < this.#close
      ? minute >= this.#open && minute < this.#close
      : minute >= this.#open || minute < this.#close
    if (isUsual) return undefined
    return new Date(local - this.#open * MINUTE_MS).toISOString().slice(0, 10)
  }

  #offsetAt (date: Date) {
    const quarter = Math.floor(date.getTime() / CACHED_MS)
    if (this.#offset.quarter === quarter) return this.#offset.ms
    const start = new Date(quarter * CACHED_MS)
    const parts = this.#format.formatToParts(start).map(({ type, value }) => [type, Number(value)])
    const { year, month, day, hour, minute, second } = Object.fromEntries(parts) as Record<string, number>
    const ms = Date.UTC(year!, month! - 1, day, hour, minute, second) - start.getTime()
    this.#offset = { quarter, ms }
    return ms
  }
}
