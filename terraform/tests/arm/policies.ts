const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** A policy that was sent as rawxml as the service answers it as xml: with its expressions escaped. */
export function escapeExpressions (policy: string) {
  let result = ''
  let rest = policy
  for (;;) {
    const start = rest.search(/@[({]/)
    if (start < 0) return (result + rest).replaceAll(/\r?\n/g, '\r\n')
    const end = start + lengthOfExpression(rest.slice(start))
    result += rest.slice(0, start) + rest.slice(start, end).replaceAll(/[&<>"]/g, (sign) => ENTITIES[sign]!)
    rest = rest.slice(end)
  }
}

/** The length of the expression at the start of `text`, up to the bracket that closes its first one. */
function lengthOfExpression (text: string) {
  let depth = 0
  const parts = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|[({})]/g
  for (const { 0: part, index } of text.matchAll(parts)) {
    if (part === '(' || part === '{') depth++
    if ((part === ')' || part === '}') && --depth === 0) return index + 1
  }
  throw new Error('an expression in a policy has no end')
}
