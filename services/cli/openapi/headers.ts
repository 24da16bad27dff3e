interface Header {
  name: string
  description: string
  example: string | number
}

/** An optional header of requests to the operations that have a response with `status`. */
export interface RequestHeader extends Header {
  status: number
}

/** A header of responses with one of `statuses`. */
export interface ResponseHeader extends Header {
  statuses: number[]
  /** Set where only responses with an array have the header (true), or only the others (false). */
  pages?: boolean
}

interface Operation {
  parameters?: object[]
  responses: Record<string, {
    headers?: Record<string, object>
    content?: Record<string, { schema: { type?: string } }>
  }>
}

/** Adds to an operation the headers of its requests and responses. */
export function addHeaders (operation: Operation, requests: RequestHeader[], responses: ResponseHeader[]) {
  const parameters = operation.parameters ??= []
  for (const { status, name, ...header } of requests) {
    if (operation.responses[status]) {
      parameters.push({ in: 'header', name, required: false, ...describe(header) })
    }
  }
  const isPage = operation.responses[200]?.content?.['application/json']?.schema.type === 'array'
  for (const [status, response] of Object.entries(operation.responses)) {
    const headers = responses
      .filter(({ statuses, pages = isPage }) => statuses.includes(Number(status)) && pages === isPage)
      .map(({ name, ...header }) => [name, describe(header)])
    if (headers.length > 0) response.headers = Object.fromEntries(headers)
  }
}

function describe ({ description, example }: Omit<Header, 'name'>) {
  return { description, schema: { type: typeof example === 'number' ? 'integer' : 'string' }, example }
}
