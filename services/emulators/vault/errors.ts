import { format } from 'node:util'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { violation } from '#common/http/validation.ts'

/** An error of Key Vault: `code` and `inner` are the error codes of its responses. */
class VaultError extends Error {
  override name = 'VaultError'
  readonly response: { statusCode: number, code: string, inner?: string }

  constructor (response: VaultError['response'], message: string) {
    super(message)
    this.response = response
  }
}

function vaultError (statusCode: number, code: string, message: string, inner?: string) {
  return class extends VaultError {
    constructor (...parts: string[]) {
      super({ statusCode, code, inner }, format(message, ...parts))
    }
  }
}

export const BadParameter = vaultError(400, 'BadParameter', '%s')
export const MissingToken = vaultError(401, 'Unauthorized',
  'AKV10000: Request is missing a Bearer or PoP token.')
export const InvalidToken = vaultError(401, 'Unauthorized',
  'AKV10032: The token is not one of this vault, or has expired.')
export const ForbiddenByRbac = vaultError(403, 'Forbidden', [
  'Caller is not authorized to perform action on resource.',
  'If role assignments, deny assignments or role definitions were changed recently, ' +
    'please observe propagation time.',
  'Caller: appid=%s;iss=%s',
  "Action: 'Microsoft.KeyVault/vaults/secrets/%s'",
  "Resource: '%s'",
  'Assignment: (not found)',
  'DenyAssignmentId: null',
  "DecisionReason: 'DeniedWithNoValidRBAC' ",
  'Vault: local;location=local',
  ''
].join('\r\n'), 'ForbiddenByRbac')
export const SecretDisabled = vaultError(403, 'Forbidden',
  'Operation get is not allowed on a disabled secret.', 'SecretDisabled')
export const SecretNotFound = vaultError(404, 'SecretNotFound',
  'A secret with (name/id) %s was not found in this key vault. If you recently deleted this secret ' +
  'you may be able to recover it using the correct recovery command.')
export const DeletedSecretNotFound = vaultError(404, 'SecretNotFound', 'Deleted Secret not found: %s')
export const NoOperation = vaultError(404, 'NotFound', 'There is no such operation.')
export const MethodNotAllowed = vaultError(405, 'MethodNotAllowed',
  'This vault does not support the method here.')
export const DeletedButRecoverable = vaultError(409, 'Conflict',
  'Secret %s is currently in a deleted but recoverable state, and its name cannot be reused; ' +
  'in this state, the secret can only be recovered or purged.', 'ObjectIsDeletedButRecoverable')
const RequestTooLarge = vaultError(413, 'RequestEntityTooLarge', 'The body is too large.')
const InternalError = vaultError(500, 'InternalServerError', 'The vault has a defect, or cannot write.')

/** Responds as Key Vault does. The cause of an internal error is only logged. */
export function answerError (error: FastifyError | VaultError, request: FastifyRequest, reply: FastifyReply) {
  const { message, response } = error instanceof VaultError ? error : translated(error, request)
  const { statusCode, code, inner } = response
  return reply.code(statusCode).send({ error: { code, message, innererror: inner && { code: inner } } })
}

// Messages of parsers quote what they parsed, so none is passed on
function translated (error: FastifyError, request: FastifyRequest): VaultError {
  const { validation: [problem] = [], statusCode = 500, code } = error
  if (problem) {
    const { pointer, message } = violation(problem)
    return new BadParameter(`${pointer} ${message}`)
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new RequestTooLarge()
  if (statusCode < 500) return new BadParameter('The request cannot be understood.')
  request.access.failure = error
  return new InternalError()
}
