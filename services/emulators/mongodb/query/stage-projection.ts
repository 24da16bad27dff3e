import { arrayType, encodeField, join, rawField } from '../bson/encoding.ts'
import { asBuffer, fieldsOf, nameOf, nullType, valueOf } from '../bson/raw.ts'
import type { RawField } from '../bson/raw.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { compileExpression, isTrue } from './expressions.ts'
import type { Expression } from './expressions.ts'
import type { Project } from './projection.ts'

/** A field for the elements of the array `input` that meet a condition. */
interface Filtered { name: string, input: string, condition: Expression }

/**
 * Compiles a `$project` stage that includes fields, or parts of arrays by `$filter`.
 *
 * It works on encoded documents, and decodes only elements that have a string which the condition asks for:
 * of large arrays only few may be wanted.
 */
export function compileStage (spec: Doc): Project {
  const included = new Set(['_id'])
  const filtered: Filtered[] = []
  for (const [name, value] of Object.entries(spec)) {
    if (name.includes('.')) throw notSupported('a path in $project')
    if (isDocument(value)) filtered.push({ name, ...parseFilterExpression(value) })
    else if (toNumber(value) === 1 || value === true) included.add(name)
    else throw notSupported(`the projection of ${name}`)
  }
  if (filtered.length + included.size === 1) throw notSupported('a $project of nothing')
  return (stored) => {
    const bytes = asBuffer(stored)
    const fields = fieldsOf(bytes).map((field) => ({ ...field, name: nameOf(bytes, field) }))
    const kept = fields.filter(({ name }) => included.has(name))
    return join([
      ...kept.map(({ start, end }) => bytes.subarray(start, end)),
      ...filtered.map((one) => filteredField(bytes, fields.find(({ name }) => name === one.input), one))
    ])
  }
}

function parseFilterExpression (value: Doc): { input: string, condition: Expression } {
  const { $filter: filter, ...others } = value
  if (!isDocument(filter) || Object.keys(others).length > 0) throw notSupported('this expression in $project')
  const { input, cond, ...more } = filter
  const isField = typeof input === 'string' && /^\$[^$.]+$/.test(input)
  if (!isField || cond === undefined || Object.keys(more).length > 0) throw notSupported('this $filter')
  return { input: input.slice(1), condition: compileExpression(cond) }
}

function filteredField (bytes: Buffer, input: RawField | undefined, { name, condition }: Filtered): Buffer {
  if (input === undefined || input.type === nullType) return encodeField(name, null)
  if (input.type !== arrayType) throw new CommandError(28651, 'input to $filter must be an array')
  const elements = candidatesOf(bytes, input, condition.texts)
    .filter((element) => isTrue(condition.of(valueOf(bytes, element))))
  return rawField(arrayType, name, join(elements.map(({ type, value, end }, i) => {
    return rawField(type, String(i), bytes.subarray(value, end))
  })))
}

/** The elements of an array that have one of the texts; all of them without texts. */
function candidatesOf (bytes: Buffer, array: RawField, texts: string[] | undefined): RawField[] {
  if (texts === undefined) return fieldsOf(bytes, array.value)
  const places = texts.flatMap((text) => placesOf(bytes, Buffer.from(text), array)).sort((a, b) => a - b)
  if (places.length === 0) return []
  let next = 0
  return fieldsOf(bytes, array.value).filter(({ value, end }) => {
    while (next < places.length && places[next]! < value) next++
    return next < places.length && places[next]! < end
  })
}

/** Where a text occurs in a value. */
function placesOf (bytes: Buffer, text: Buffer, { value, end }: RawField): number[] {
  const places: number[] = []
  const part = bytes.subarray(value, end)
  for (let at = part.indexOf(text); at >= 0; at = part.indexOf(text, at + 1)) places.push(value + at)
  return places
}
