import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Document } from 'mongodb'
import { isDuplicateKey } from '#common/database-errors.ts'
import type { DataKeys } from './data-key.ts'
import { InvalidIfNoneExist, isRefusal, SeveralPatients } from './errors.ts'
import { settled, takeClaim } from './idempotency.ts'
import { ClaimLost, write } from './interactions.ts'
import type { Claim, Claims } from './repositories/claims.ts'
import { patientKey, storedPatient, type Patients, type StoredPatient } from './repositories/patients.ts'
import { identifierKey } from './search/keys.ts'
import type { PatientCriteria } from './schemas/criteria.ts'
import type { PatientDetails } from './schemas/patient.ts'
import { disclosure, sendCreated, sendDocument } from './routes/responses.ts'

interface Outcome {
  patient: StoredPatient
  created: boolean
}

/**
 * Creates a patient unless one with the identifier of If-None-Exist is there, which is returned then. Of
 * several requests at once, one creates.
 *
 * @throws {InvalidIfNoneExist}
 */
export function createUnlessThere (
  ifNoneExist: string,
  request: FastifyRequest<{ Body: PatientDetails }>,
  claims: Claims,
  keys: DataKeys,
  patients: Patients,
  filterOf: (criteria: PatientCriteria) => Document
) {
  const { body } = request
  const { system, value } = wantedIdentifier(ifNoneExist, body)
  const scope = JSON.stringify(['identifier', identifierKey(system, value)])
  const id = randomUUID()

  /** The patient with the identifier, if there is one. */
  const find = async (): Promise<Outcome | undefined> => {
    const [patient, another] = await patients.first(filterOf({ identifier: { system, value } }), 2)
    if (another) throw new SeveralPatients()
    return patient && { patient, created: false }
  }

  const create = async (claim: Claim): Promise<Outcome> => {
    const patient = storedPatient(patients.keys, claim.id, body, claim.audit, claim.lastUpdated)
    try {
      await patients.insert(patient)
      return { patient, created: true }
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      // Another request has finished the same claim
      const patient = await patients.find(patientKey(claim.id))
      if (patient) return { patient, created: false }
      // It was deleted since
      await claims.release(claim)
      throw new ClaimLost()
    }
  }

  return write<Outcome>({
    id,
    async act (record) {
      const there = await find()
      if (there) return there
      const wanted = { scope, content: '', audit: record, id }
      const claim = await takeClaim(claims, keys, wanted) ?? await abandonedClaim(claims, keys, scope)
      // If this fails, the next request finds the patient, or that the claim is abandoned
      const release = () => claims.release(claim)
        .catch((err) => request.log.warn({ err }, 'claim not released'))
      try {
        // Another request may have created it since
        const outcome = await find() ?? await create(claim)
        await release()
        return outcome
      } catch (error) {
        // After any other error, the patient may still be stored
        if (isRefusal(error)) await release()
        throw error
      }
    },
    disclosed: ({ patient, created }) => created ? undefined : [disclosure(patient)],
    answer: ({ patient, created }, reply) => created
      ? sendCreated(patient, `/patient/${patient._id}`, reply)
      : sendFound(patient, reply)
  })
}

function sendFound (patient: StoredPatient, reply: FastifyReply) {
  return sendDocument(patient, reply.header('content-location', `/patient/${patient._id}`))
}

async function abandonedClaim (claims: Claims, keys: DataKeys, scope: string): Promise<Claim> {
  const found = await Promise.all(keys.validKeys().map((key) => claims.find(key.mac(scope))))
  const claim = found.find((claim) => claim !== null)
  if (!claim) throw new ClaimLost()
  return settled(claims, claim)
}

/** The identifier of If-None-Exist, which the patient has to have. */
function wantedIdentifier (ifNoneExist: string, { identifiers = [] }: PatientDetails) {
  const parameters = [...new URLSearchParams(ifNoneExist)]
  const [[name, token] = []] = parameters
  const bar = token?.lastIndexOf('|') ?? -1
  if (parameters.length !== 1 || name !== 'identifier' || !token || bar < 1 || bar === token.length - 1) {
    throw new InvalidIfNoneExist('If-None-Exist must be identifier=system|value')
  }
  const system = token.slice(0, bar)
  const value = token.slice(bar + 1)
  const key = identifierKey(system, value)
  if (!identifiers.some((own) => identifierKey(own.system, own.value) === key)) {
    throw new InvalidIfNoneExist('The patient must have the identifier of If-None-Exist')
  }
  return { system, value }
}
