interface Header {
  name: string
  description: string
  example: string | number
}

/** An optional header of requests to some operations. */
export interface RequestHeader extends Header {
  /** Whether requests to an operation may have the header. */
  of (operationId: string, hasResponse: (status: number) => boolean): boolean
}

/** A header of responses with one of `statuses`. */
export interface ResponseHeader extends Header {
  statuses: number[]
  /** Set where only responses with an array have the header (true), or only the others (false). */
  pages?: boolean
  /** The ids of the operations, if only some have the header. */
  operations?: string[]
}

interface Operation {
  operationId: string
  parameters?: object[]
  responses: Record<string, {
    headers?: Record<string, object>
    content?: Record<string, { schema: { type?: string } }>
  }>
}

/** Adds to an operation the headers of its requests and responses. */
export function addHeaders (operation: Operation, requests: RequestHeader[], responses: ResponseHeader[]) {
  const parameters = operation.parameters ??= []
  const { operationId } = operation
  for (const { of, name, ...header } of requests) {
    if (of(operationId, (status) => operation.responses[status] !== undefined)) {
      parameters.push({ in: 'header', name, required: false, ...describe(header) })
    }
  }
  const isPage = operation.responses[200]?.content?.['application/json']?.schema.type === 'array'
  for (const [status, response] of Object.entries(operation.responses)) {
    const headers = responses
      .filter(({ statuses, pages = isPage, operations = [operationId] }) => {
        return statuses.includes(Number(status)) && pages === isPage && operations.includes(operationId)
      })
      .map(({ name, ...header }) => [name, describe(header)])
    if (headers.length > 0) response.headers = Object.fromEntries(headers)
  }
}

function describe ({ description, example }: Omit<Header, 'name'>) {
  return { description, schema: { type: typeof example === 'number' ? 'integer' : 'string' }, example }
}
