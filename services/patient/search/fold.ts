/**
 * The version of the folding, raised with every change of what this module or keys.ts returns. Documents of
 * other versions are then brought up to it in the background.
 */
export const FOLDING_VERSION = 1

// Marks that a typist leaves out. Others, such as the vowel signs of Indic scripts, are letters to readers.
// eslint-disable-next-line no-misleading-character-class -- the marks themselves are meant
const OPTIONAL_MARKS = new RegExp('[' + [
  // Latin, Greek and Cyrillic
  '\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f',
  // Hebrew points
  '\\u0591-\\u05bd\\u05bf\\u05c1\\u05c2\\u05c4\\u05c5\\u05c7',
  // Arabic vowels, and the elongation of a letter
  '\\u0610-\\u061a\\u064b-\\u0652\\u0670\\u06d6-\\u06dc\\u0640'
].join('') + ']', 'g')

const APOSTROPHES = /[\u0060\u00b4\u02b9-\u02bf\u02c8\u02ca\u02cb\u055a\u05f3\u2018-\u201b\u2032\u2035\uff07]/g
const HYPHENS = /[\u058a\u05be\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d]/g

/** Letters that Unicode does not decompose, with what is typed instead of them. */
const LETTERS: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ŧ: 't',
  ŋ: 'n',
  ĸ: 'k',
  ı: 'i',
  ſ: 's',
  ς: 'σ'
}
const UNDECOMPOSED = new RegExp(`[${Object.keys(LETTERS).join('')}]`, 'g')

/** Characters that only say how text is shown, such as the soft hyphen and the zero-width non-joiner. */
const INVISIBLE = /\p{Cf}/gu

const ASCII_LETTERS = /^[a-z]*$/

/**
 * The key of a text: the same for texts that differ only in case, accents, composed or decomposed form,
 * typographic apostrophes and hyphens, or white space.
 *
 * Sources: Unicode Standard Annex #15 (NFKD, NFC) and the case mappings of ECMAScript.
 */
export function fold (text: string) {
  const lower = text.toLowerCase()
  if (ASCII_LETTERS.test(lower)) return lower
  return text
    .replace(INVISIBLE, '')
    // Before the decomposition, which makes a space and a mark of some apostrophes
    .replace(APOSTROPHES, "'")
    .replace(HYPHENS, '-')
    .normalize('NFKD')
    .replace(OPTIONAL_MARKS, '')
    .toLowerCase()
    // Lower case adds a mark to some letters, such as İ
    .replace(OPTIONAL_MARKS, '')
    .replace(UNDECOMPOSED, (letter) => LETTERS[letter]!)
    .normalize('NFC')
    .replace(/\s+/g, ' ')
    .trim()
}

/** The key of an identifier or a post code, in which white space and hyphens make no difference either. */
export function foldIdentifier (value: string) {
  return fold(value).replace(/[\s-]+/g, '')
}
