/** A header of requests to operations that have a response with one of `statuses`, or of these responses. */
export interface Header {
  statuses: number[]
  description: string
  example: string | number
  /** Set where only responses with an array have the header (true), or only the others (false). */
  pages?: boolean
  /** The ids of the operations that have the header, if not all with such a response. */
  operations?: string[]
  /** The ids of operations without the header. */
  except?: string[]
}

interface Operation {
  operationId: string
  parameters?: object[]
  responses: Record<string, {
    headers?: Record<string, object>
    content?: Record<string, { schema: { type?: string } }>
  }>
}

type Headers = Record<string, Header>

/** Adds to an operation the headers of its requests and responses. */
export function addHeaders (operation: Operation, requests: Headers, responses: Headers) {
  const parameters = operation.parameters ??= []
  const { operationId } = operation
  const isPage = operation.responses[200]?.content?.['application/json']?.schema.type === 'array'
  const isOf = ({ operations, except = [] }: Header) =>
    operations ? operations.includes(operationId) : !except.includes(operationId)
  for (const [name, header] of Object.entries(requests)) {
    if (!isOf(header) || !header.statuses.some((status) => operation.responses[status])) continue
    parameters.push({ in: 'header', name, required: false, ...describe(header) })
  }
  for (const [status, response] of Object.entries(operation.responses)) {
    const headers = Object.entries(responses)
      .filter(([, { statuses, pages = isPage }]) => statuses.includes(Number(status)) && pages === isPage)
      .filter(([, header]) => isOf(header))
      .map(([name, header]) => [name, describe(header)])
    if (headers.length > 0) response.headers = Object.fromEntries(headers)
  }
}

function describe ({ description, example }: Header) {
  return { description, schema: { type: typeof example === 'number' ? 'integer' : 'string' }, example }
}
