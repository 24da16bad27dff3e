import type { BSONRegExp } from 'bson'
import { CommandError } from '../errors.ts'

/*
 * Regular expressions are PCRE in MongoDB and run on JavaScript's engine here. Only what means the same in both, or
 * can be rewritten so that it does, is accepted; and only what cannot backtrack without bound: no quantifier on a
 * group that has one, or an alternative, inside, no backreference, no lookaround.
 */

const refuse = (reason: string): never => {
  throw new CommandError(51091, `Regular expression is invalid: ${reason} is not supported by this database`)
}

/** The most steps that one string may take. */
const maxSteps = 2e7

const space = ' \\t\\n\\v\\f\\r'
/** Escapes that stand for one character or class, as JavaScript's `u` flag takes them. */
const escapes: Record<string, string> = {
  d: '\\d', D: '\\D', w: '\\w', W: '\\W', s: `[${space}]`, S: `[^${space}]`, b: '\\b', B: '\\B', t: '\\t', n: '\\n', r: '\\r', f: '\\f'
}

interface Group {
  quantified: boolean
  alternatives: number
}

export interface Expression {
  /** Throws 51156 for a string that could take too many steps. */
  test: (text: string) => boolean
}

class Translation {
  #pattern: string
  #options: string
  #at = 0
  #out = ''
  #groups: Group[] = [{ quantified: false, alternatives: 1 }]
  /** What may be quantified: the group that was just closed, an atom, or nothing. */
  #last: Group | 'atom' | undefined
  /** The number of ways in which each quantifier and alternative may match. */
  factors: number[] = []

  constructor (pattern: string, options: string) {
    this.#pattern = pattern
    this.#options = options
  }

  run (): string {
    while (this.#at < this.#pattern.length) this.#next()
    if (this.#groups.length !== 1) refuse('a group that is not closed')
    this.factors.push(this.#groups[0]!.alternatives)
    return this.#out
  }

  #put (text: string, last: Group | 'atom' | undefined): void {
    this.#out += text
    this.#last = last
  }

  #next (): void {
    const char = String.fromCodePoint(this.#pattern.codePointAt(this.#at)!)
    this.#at += char.length
    switch (char) {
      case '\\': return this.#escape()
      case '[': return this.#put(this.#class(), 'atom')
      case '(': return this.#open()
      case ')': return this.#close()
      case '|':
        this.#groups.at(-1)!.alternatives++
        return this.#put('|', undefined)
      case '.': return this.#put(this.#options.includes('s') ? '[^]' : '[^\\n]', 'atom')
      case '^': return this.#put(this.#options.includes('m') ? '(?:^|(?<=\\n)(?!$))' : '^', undefined)
      case '$': return this.#put(this.#options.includes('m') ? '(?=\\n|$)' : '(?=\\n?$)', undefined)
      case '*': return this.#quantify('*', Infinity)
      case '+': return this.#quantify('+', Infinity)
      case '?': return this.#quantify('?', 2)
      case '{': return this.#count()
      default: this.#literal(char)
    }
  }

  #literal (char: string): void {
    if (this.#options.includes('x')) {
      if (char === '#') {
        const end = this.#pattern.indexOf('\n', this.#at)
        this.#at = end < 0 ? this.#pattern.length : end + 1
        return
      }
      if (/\s/.test(char)) return
    }
    this.#put(/[\]}/]/.test(char) ? `\\${char}` : char, 'atom')
  }

  #escape (): void {
    const char = this.#pattern[this.#at++] ?? refuse('a backslash at the end')
    const anchor = char === 'b' || char === 'B'
    if (Object.hasOwn(escapes, char)) this.#put(escapes[char]!, anchor ? undefined : 'atom')
    else if (/[a-z0-9]/i.test(char)) refuse(`\\${char}`)
    else this.#put(/[\^$\\.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char, 'atom')
  }

  #class (): string {
    const found = /^\^?(?:\\.|[^\\\]])(?:\\.|[^\\\]])*\]/su.exec(this.#pattern.slice(this.#at))
    if (found === null || found[0].startsWith(']') || found[0].startsWith('^]')) return refuse('this character class')
    const body = found[0].slice(0, -1)
    if (/\[[:.=]/.test(body)) refuse('a POSIX character class')
    this.#at += found[0].length
    return `[${body.replace(/\\(.)|[[\]{}()|/]/gsu, (text, char: string | undefined) => {
      if (char === undefined) return `\\${text}`
      if (char === 's') return space
      if (/[dDwWtnrf]/.test(char)) return text
      if (/[a-z0-9]/i.test(char)) return refuse(text)
      return /[\^$\\.*+?()[\]{}|/-]/.test(char) ? text : char
    })}]`
  }

  #open (): void {
    if (this.#pattern[this.#at] === '?') {
      if (this.#pattern[this.#at + 1] !== ':') refuse('a group that begins with (? other than (?:')
      this.#at += 2
    } else if (this.#pattern[this.#at] === '*') refuse('a verb')
    this.#groups.push({ quantified: false, alternatives: 1 })
    this.#put('(?:', undefined)
  }

  #close (): void {
    const group = this.#groups.pop()!
    const outer = this.#groups.at(-1) ?? refuse('a parenthesis that was not opened')
    if (group.quantified) outer.quantified = true
    this.factors.push(group.alternatives)
    this.#put(')', group)
  }

  #count (): void {
    const [text, low = '', high] = /^(\d+)(?:,(\d*))?\}/.exec(this.#pattern.slice(this.#at)) ?? []
    if (text === undefined) return this.#put('\\{', 'atom')
    this.#at += text.length
    const most = high === undefined ? Number(low) : high === '' ? Infinity : Number(high)
    if (most < Number(low) || Math.max(Number(low), most === Infinity ? 0 : most) > 1000) refuse(`{${text}`)
    this.#quantify(`{${text}`, most - Number(low) + 1)
  }

  #quantify (text: string, ways: number): void {
    const last = this.#last
    if (last === undefined) refuse('a quantifier with nothing before it')
    if (typeof last === 'object' && (last.quantified || last.alternatives > 1)) {
      refuse('a quantifier on a group that has a quantifier or an alternative in it')
    }
    if (this.#pattern[this.#at] === '+') refuse('a possessive quantifier')
    const lazy = this.#pattern[this.#at] === '?' ? '?' : ''
    this.#at += lazy.length
    this.#groups.at(-1)!.quantified = true
    this.factors.push(ways)
    this.#put(text + lazy, undefined)
  }
}

/** The JavaScript expression for a BSON one. Throws 51091 for what is not supported. */
export function toRegExp ({ pattern, options }: BSONRegExp): Expression {
  const inline = /^\(\?([imsx]+)\)/.exec(pattern)
  if (inline !== null) {
    options += inline[1]
    pattern = pattern.slice(inline[0].length)
  }
  const translation = new Translation(pattern, options)
  const source = translation.run()
  let expression: RegExp
  try {
    expression = new RegExp(source, options.includes('i') ? 'iu' : 'u')
  } catch (error) {
    throw new CommandError(51091, `Regular expression is invalid: ${(error as Error).message}`)
  }
  return {
    test (text) {
      const length = text.length + 1
      const steps = translation.factors.reduce((product, ways) => product * Math.min(ways, length), length)
      if (steps > maxSteps) {
        throw new CommandError(51156, `a string of ${text.length} characters is too long for this regular expression`)
      }
      return expression.test(text)
    }
  }
}
