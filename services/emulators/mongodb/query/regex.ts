import type { BSONRegExp } from 'bson'
import { CommandError } from '../errors.ts'

/*
 * Regular expressions are PCRE in MongoDB and run on JavaScript's engine here. Only what means the same in
 * both, or can be rewritten so that it does, is accepted: characters, classes, `.`, anchors and quantifiers
 * on single characters. Without groups and alternatives the time that a match may take is bounded.
 */

/** The most steps that a match may take. */
const maxSteps = 2e7

const refuse = (what: string): never => {
  throw new CommandError(51091, `Regular expression is invalid: ${what} is not supported by this database`)
}

const space = ' \\t\\n\\v\\f\\r'
/** Escapes that stand for a character or a class, as JavaScript's `u` flag takes them. */
const escapes: Record<string, string> = {
  d: '\\d',
  D: '\\D',
  w: '\\w',
  W: '\\W',
  s: `[${space}]`,
  S: `[^${space}]`,
  t: '\\t',
  n: '\\n',
  r: '\\r',
  f: '\\f'
}

/** One atom with its quantifier. */
const atom = /(\\.|\[\^?(?:\\.|[^\\\]])+\]|[^\\[\](){}*+?|])(?:([*+?])|\{(\d+)(,(\d*))?\})?(\??)/ysu

function translateEscape (text: string): string {
  const char = text[1]!
  if (Object.hasOwn(escapes, char)) return escapes[char]!
  if (/[a-z0-9]/i.test(char)) return refuse(text)
  return /[\^$\\.*+?()[\]{}|/]/.test(char) ? text : char
}

function translateClass (text: string): string {
  const head = text[1] === '^' ? '[^' : '['
  const body = text.slice(head.length, -1)
  if (/\[[:.=]/.test(body) || body === '') refuse(`the character class ${text}`)
  return `${head}${body.replace(/\\(.)|[[\]{}()|/]/gsu, (part, char: string | undefined) => {
    if (char === undefined) return `\\${part}`
    if (char === 's') return space
    if (/[dDwWtnrf]/.test(char)) return part
    if (/[a-z0-9]/i.test(char)) return refuse(part)
    return /[\^$\\.*+?()[\]{}|/-]/.test(char) ? part : char
  })}]`
}

function translate (text: string): string {
  switch (text[0]) {
    case '\\': return translateEscape(text)
    case '[': return translateClass(text)
    case '.': return '[^\\n]'
    case '$': return '(?=\\n?$)'
    case '/': return '\\/'
    default: return text
  }
}

/** The number of ways in which a quantifier may match a long text. Throws 51091 for an impossible one. */
function waysOf (
  sign: string | undefined, least: string | undefined, comma: string | undefined, most: string
): number {
  if (sign !== undefined) return sign === '?' ? 2 : Infinity
  if (least === undefined) return 1
  const highest = comma === undefined ? Number(least) : most === '' ? Infinity : Number(most)
  if (highest < Number(least) || Math.max(Number(least), highest === Infinity ? 0 : highest) > 1000) {
    refuse(`the quantifier {${least}${comma ?? ''}}`)
  }
  return highest - Number(least) + 1
}

/**
 * Compiles a regular expression to a test that throws 51156 for a text too long. Throws 51091 if not
 * supported.
 */
export function compileRegex ({ pattern, options }: BSONRegExp): (text: string) => boolean {
  if (/[^i]/.test(options)) refuse(`an option of '${options}'`)
  const ways: number[] = []
  let source = ''
  atom.lastIndex = 0
  while (atom.lastIndex < pattern.length) {
    const start = atom.lastIndex
    const found = atom.exec(pattern) ?? refuse(pattern.slice(start))
    const [whole, text, sign, least, comma, most = '', lazy] = found
    const quantifier = whole.slice(text!.length, whole.length - lazy!.length)
    if ((text === '^' || text === '$') && whole.length > 1) refuse(whole)
    if (quantifier === '' && lazy === '?') refuse(whole)
    ways.push(waysOf(sign, least, comma, most))
    source += translate(text!) + quantifier + lazy
  }
  const expression = new RegExp(source, `u${options}`)
  return (text) => {
    const length = text.length + 1
    const steps = ways.reduce((product, each) => product * Math.min(each, length), length)
    if (steps <= maxSteps) return expression.test(text)
    throw new CommandError(51156,
      `a string of ${text.length} characters is too long for this regular expression`)
  }
}
