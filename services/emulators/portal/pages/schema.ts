import { html, type Html } from '#common/pages/html.ts'
import { resolve, type Api, type Schema } from '../documents.ts'

const MAX_DEPTH = 4

/** The properties of an object, with those of the objects within it. */
export function properties (api: Api, schema: Schema, depth = 0): Html {
  const { properties: own = {}, required = [] } = resolve(api, schema)
  return html`<dl class="properties">${Object.entries(own).map(([name, property]) => {
    const inner = objectIn(api, property)
    const needed = required.includes(name) && html` <span class="needed">required</span>`
    const within = inner && depth < MAX_DEPTH && html`<details>
      <summary>Properties<span class="unseen"> of ${name}</span></summary>
      ${properties(api, inner, depth + 1)}</details>`
    return html`<div><dt><code>${name}</code>${needed}
      <span class="faint">${typeOf(api, property)}</span></dt>
      <dd>${resolve(api, property).description} ${within}</dd></div>`
  })}</dl>`
}

/** The object that a property is, has items of, or may be. */
function objectIn (api: Api, property: Schema): Schema | undefined {
  const schema = resolve(api, property)
  if (schema.properties) return schema
  if (schema.items) return objectIn(api, schema.items)
  return schema.anyOf?.map((one) => objectIn(api, one)).find(Boolean)
}

function typeOf (api: Api, property: Schema): string {
  const schema = resolve(api, property)
  if (schema.enum) return schema.enum.join(', ')
  if (schema.anyOf) return [...new Set(schema.anyOf.map((one) => typeOf(api, one)))].join(' or ')
  if (schema.items) return `array of ${typeOf(api, schema.items)}`
  const type = schema.type ?? (schema.properties ? 'object' : 'any')
  return [type, constraintsOf(schema)].filter(Boolean).join(', ')
}

/** The bounds of a value in words. */
export function constraintsOf ({ format, minimum, maximum, maxLength, maxItems }: Schema) {
  return [
    format,
    minimum !== undefined && `from ${minimum}`,
    maximum !== undefined && `at most ${maximum}`,
    maxLength !== undefined && `at most ${maxLength} characters`,
    maxItems !== undefined && `at most ${maxItems} items`
  ].filter(Boolean).join(', ')
}
