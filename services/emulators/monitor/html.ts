const ESCAPED: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text that is HTML already. Made by `html` alone. */
export class Html {
  readonly text: string

  constructor (text: string) {
    this.text = text
  }

  toString () { return this.text }
}

type Value = Html | string | number | undefined | false | Value[]

/** HTML of which every value is escaped but what `html` made itself; nothing stands for undefined and false. */
export function html (strings: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(String.raw({ raw: strings }, ...values.map(render)))
}

function render (value: Value): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(render).join('')
  return String(value).replace(/[&<>"']/g, (character) => ESCAPED[character]!)
}
