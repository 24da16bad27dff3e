const ENTITIES: Record<string, string> = {
  '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;'
}

/** Escaped HTML, made by `html` only. */
export class Html {
  readonly text: string

  constructor (text: string) {
    this.text = text
  }

  toString () { return this.text }
}

type Value = Html | string | number | undefined | false | Value[]

/** HTML with every value escaped unless `html` made it; undefined and false render nothing. */
export function html (strings: TemplateStringsArray, ...values: Value[]): Html {
  let text = strings[0]!
  for (let i = 0; i < values.length; i++) text += render(values[i]) + strings[i + 1]!
  return new Html(text)
}

const SPECIAL = /[&<>"']/g

function render (value: Value): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(render).join('')
  return String(value).replace(SPECIAL, (character) => ENTITIES[character]!)
}
