import type { WriteStream } from 'node:tty'

const LINE_EVERY_MS = 5_000
const BAR_EVERY_MS = 200
const BAR_WIDTH = 24

type Stream = Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>

/** Shows how far a phase is: as a bar on a terminal, otherwise as a line every few seconds. */
export class Progress {
  #stream: Stream
  #label: string
  #unit: string
  #total: number | undefined
  #done = 0
  #started = performance.now()
  #shown = performance.now()

  /** @param total unknown for stdin */
  constructor (stream: Stream, label: string, unit: string, total: number | undefined) {
    this.#stream = stream
    this.#label = label
    this.#unit = unit
    this.#total = total
  }

  add (count: number) {
    this.#done += count
    const now = performance.now()
    if (now - this.#shown < (this.#stream.isTTY ? BAR_EVERY_MS : LINE_EVERY_MS)) return
    this.#shown = now
    this.#show()
  }

  end () {
    this.#show()
    if (this.#stream.isTTY) this.#stream.write('\n')
  }

  #show () {
    const { isTTY, columns = 80 } = this.#stream
    const text = this.text(performance.now() - this.#started)
    this.#stream.write(isTTY ? `\r${text.slice(0, columns - 1)}\x1b[K` : `${text}\n`)
  }

  /** The bar, the share that is done, the rate and the time left after `ms`. */
  text (ms: number) {
    const rate = this.#done / Math.max(ms / 1_000, 0.001)
    const speed = `${amount(rate)} ${this.#unit}/s`
    if (this.#total === undefined) return `${this.#label} ${amount(this.#done)} ${this.#unit}, ${speed}`
    const share = this.#total === 0 ? 1 : Math.min(this.#done / this.#total, 1)
    const filled = Math.floor(share * BAR_WIDTH)
    const bar = this.#stream.isTTY ? ` [${'='.repeat(filled)}${' '.repeat(BAR_WIDTH - filled)}]` : ''
    const left = share === 1 || rate === 0 ? '' : `, ${time((this.#total - this.#done) / rate)} left`
    const parts = `${amount(this.#done)} of ${amount(this.#total)} ${this.#unit}, ${speed}${left}`
    return `${this.#label}${bar} ${Math.floor(share * 100)} % ${parts}`
  }
}

const amount = (count: number) => Math.round(count).toLocaleString('en')

function time (seconds: number) {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3_600)} h ${Math.floor(whole % 3_600 / 60)} min`
}
