import type { Response } from './responses.ts'

/** The errors of the gateway itself have the form of API Management. */
export const GatewayError = {
  type: 'object',
  required: ['statusCode', 'message'],
  properties: {
    statusCode: { type: 'integer' },
    message: { type: 'string' },
    activityId: { type: 'string', format: 'uuid', description: 'Identifies the request in the logs' }
  }
}

export const gatewayResponses: Record<string, Response> = {
  401: response('The subscription key is missing or invalid', {
    statusCode: 401,
    message: 'Access denied due to invalid subscription key. ' +
      'Make sure to provide a valid key for an active subscription.'
  }),
  403: response('The subscription has used up its quota', {
    statusCode: 403,
    message: 'Out of call volume quota. Quota will be replenished in 05:41:12.'
  }),
  429: response('The subscription has made too many calls', {
    statusCode: 429,
    message: 'Rate limit is exceeded. Try again in 17 seconds.'
  }),
  503: response('or the gateway cannot reach the service', {
    statusCode: 503,
    message: 'Service unavailable',
    activityId: '7c1d6a51-6a4e-4f3c-8a55-0f5b7d9f2e10'
  })
}

function response (description: string, example: object): Response {
  return { description, content: { 'application/json': { schema: { $ref: 'GatewayError#' }, example } } }
}
