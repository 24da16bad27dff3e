import type { BSONRegExp } from 'bson'
import { CommandError } from '../errors.ts'

/*
 * Regular expressions are PCRE in MongoDB and run on JavaScript's engine here. Only what means the same in
 * both, or can be rewritten so that it does, is accepted: characters, classes of letters and digits, `.`,
 * anchors and quantifiers on single characters. Without groups the time that a match may take is bounded.
 */

/** The most steps that a match may take. */
const maxSteps = 2e7

const refuse = (what: string): never => {
  throw new CommandError(51091, `Regular expression is invalid: ${what} is not supported by this database`)
}

/** One character, escaped character or class, with its quantifier. */
const atom = /(\\[\^$\\.*+?()[\]{}|/]|\[\^?[\w\- ]+\]|\\d|[^\\[\](){}*+?|])(?:([*+?])|\{(\d+)(,(\d*))?\})?/yu

function translate (text: string): string {
  switch (text) {
    case '.': return '[^\\n]'
    case '$': return '(?=\\n?$)'
    case '/': return '\\/'
    default: return text
  }
}

/** The number of ways in which a quantifier may match a long text. Throws 51091 for an impossible one. */
function waysOf (sign?: string, least?: string, comma?: string, most?: string): number {
  if (sign !== undefined) return sign === '?' ? 2 : Infinity
  if (least === undefined) return 1
  const highest = comma === undefined ? Number(least) : most ? Number(most) : Infinity
  if (highest < Number(least) || Number(least) > 1000) refuse(`the quantifier {${least}${comma ?? ''}}`)
  return highest - Number(least) + 1
}

function expressionOf (source: string, options: string): RegExp {
  try {
    return new RegExp(source, `u${options}`)
  } catch (error) {
    return refuse((error as Error).message)
  }
}

/** Compiles to a test that throws 51156 for a text too long. Throws 51091 for what is not supported. */
export function compileRegex ({ pattern, options }: BSONRegExp): (text: string) => boolean {
  if (/[^i]/.test(options)) refuse(`an option of '${options}'`)
  const ways: number[] = []
  let source = ''
  atom.lastIndex = 0
  while (atom.lastIndex < pattern.length) {
    const rest = pattern.slice(atom.lastIndex)
    const [whole, text, ...quantifier] = atom.exec(pattern) ?? refuse(rest)
    if ((text === '^' || text === '$') && whole !== text) refuse(whole)
    ways.push(waysOf(...quantifier))
    source += translate(text!) + whole.slice(text!.length)
  }
  const expression = expressionOf(source, options)
  return (text) => {
    const length = text.length + 1
    const steps = ways.reduce((product, each) => product * Math.min(each, length), length)
    if (steps <= maxSteps) return expression.test(text)
    throw new CommandError(51156,
      `a string of ${text.length} characters is too long for this regular expression`)
  }
}
