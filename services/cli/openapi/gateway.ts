import type { Api } from './document.ts'
import type { Response } from './responses.ts'

/** The parts of the document of every API behind the gateway. */
export const gatewayInfo = {
  servers: [{
    url: 'https://{gateway}',
    description: 'The gateway',
    variables: { gateway: { default: 'gateway.example.com' } }
  }],
  security: [{ subscriptionKeyHeader: [] }, { subscriptionKeyQuery: [] }] as Array<Record<string, string[]>>,
  components: {
    securitySchemes: {
      subscriptionKeyHeader: { type: 'apiKey' as const, in: 'header', name: 'Ocp-Apim-Subscription-Key' },
      subscriptionKeyQuery: { type: 'apiKey' as const, in: 'query', name: 'subscription-key' }
    }
  }
}

export const gatewayResponseHeaders: Api['responseHeaders'] = {
  'Retry-After': {
    statuses: [403, 409, 429, 503], description: 'Seconds to wait before the next attempt', example: 1
  },
  'WWW-Authenticate': {
    statuses: [401],
    description: 'How to send the key',
    example: 'AzureApiManagementKey realm="https://gateway.example.com",' +
      'name="Ocp-Apim-Subscription-Key",type="header"'
  }
}

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
