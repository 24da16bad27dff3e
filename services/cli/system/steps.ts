const REMIND_MS = 10_000

/** Tells what is starting, and how long each part took. */
export class Steps {
  readonly #say: (line: string) => void
  readonly #began = performance.now()
  #width = 0

  constructor (say: (line: string) => void) {
    this.#say = say
  }

  /** Announces parts that start together. */
  begin (names: string[]) {
    this.#width = Math.max(this.#width, ...names.map((name) => name.length))
    this.#say(`Starting ${names.join(', ')}`)
  }

  /**
   * Reports how long `work` took, and meanwhile, now and then, that it is not done.
   *
   * @param hint where to look if it takes long
   */
  async time<T> (name: string, work: Promise<T>, hint: string): Promise<T> {
    const began = performance.now()
    const reminder = setInterval(() => {
      this.#say(`  ${name} is not ready after ${seconds(began)}; see ${hint}`)
    }, REMIND_MS)
    try {
      const result = await work
      this.#say(`  ${name.padEnd(this.#width)}  ${seconds(began)}`)
      return result
    } finally {
      clearInterval(reminder)
    }
  }

  end () {
    this.#say(`Started in ${seconds(this.#began)}`)
  }
}

function seconds (began: number) {
  return `${((performance.now() - began) / 1_000).toFixed(1)} s`
}
