interface Schema {
  type?: string | string[]
  title?: string
  anyOf?: Array<{ type?: string }>
  dependencies?: object
  properties?: Record<string, { default?: unknown, not?: object }>
  required?: string[]
}

/** A reference to `schema`, or to its items' schema, if it is one of `schemas`; otherwise the schema. */
export function referTo (schema: object, schemas: Record<string, object>): object {
  const [name] = Object.entries(schemas).find(([, named]) => named === schema) ?? []
  if (name) return { $ref: `${name}#` }
  const { items } = schema as { items?: object }
  return items ? { type: 'array', items: referTo(items, schemas) } : toOpenApi(schema)
}

/**
 * A JSON Schema as OpenAPI 3.0 has it: `nullable` for the type null, no forbidden properties or dependencies,
 * and a reference to each schema inside of it that has a title.
 */
export function toOpenApi (schema: object): object {
  return JSON.parse(JSON.stringify(schema), (key, value: Schema | null) => {
    if (key !== '' && typeof value?.title === 'string' && value.type) return { $ref: `${value.title}#` }
    if (Array.isArray(value?.type)) {
      return { ...value, type: value.type.find((type) => type !== 'null'), nullable: true }
    }
    if (value?.anyOf?.some(isNull)) {
      return { ...value, anyOf: value.anyOf.filter((schema) => !isNull(schema)), nullable: true }
    }
    if (!value?.properties) return value
    const allowed = Object.entries(value.properties).filter(([, { not }]) => not === undefined)
    const { dependencies, ...known } = value
    return { ...known, properties: Object.fromEntries(allowed) }
  })
}

const isNull = ({ type }: { type?: string }) => type === 'null'

/** `schema` without its properties that have a default among the required ones. */
export function withOptionalDefaults (schema: Schema) {
  const { properties, required } = schema
  return { ...schema, required: required?.filter((name) => properties![name]!.default === undefined) }
}
