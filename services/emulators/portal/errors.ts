import { operations } from './documents.ts'

/** An error of the API as the documents have it, and what its reader can do. */
export interface ExplainedError {
  code: string
  status: string
  meaning: string
  advice: string
}

/** What to do about each code of a problem. */
export const ADVICE: Record<string, string> = {
  AUDIT_UNAVAILABLE: 'Repeat the request after Retry-After seconds. Nothing was written or disclosed.',
  BODY_TOO_LARGE: 'Send less in one request, such as a test result with fewer observations.',
  DATABASE_UNAVAILABLE: 'Repeat the request after Retry-After seconds, a create with its Idempotency-Key.',
  DEFECT: 'Report the traceId to the operator. Repeat a create with its Idempotency-Key only.',
  ENCODED_BODY: 'Send the body without Content-Encoding.',
  FINDING_NOT_FOUND: 'Check the id of the finding.',
  FINDING_STALE: 'Load the finding again, decide anew, and send its new ETag in If-Match.',
  IDEMPOTENCY_KEY_REUSED: 'Choose a new Idempotency-Key for each new patient or test result.',
  IF_MATCH_REQUIRED: 'Load the finding, and send its ETag in If-Match.',
  INVALID_BODY: 'Send valid JSON in UTF-8, in which no name occurs twice in an object.',
  INVALID_CALLER: 'Correct X-On-Behalf-Of, X-Purpose-Of-Use or X-Purpose-Reason; detail says which.',
  INVALID_CURSOR: 'Begin again without a cursor: it belongs to its search, sort order and subscription.',
  INVALID_IDEMPOTENCY_KEY: 'Use a UUID as Idempotency-Key.',
  INVALID_IF_NONE_EXIST: 'Send If-None-Exist: identifier=<system>|<value>, percent-encoded.',
  INVALID_PRECONDITION: 'Send the ETag of a response, with its quotation marks.',
  INVALID_REQUEST: 'Correct the properties that errors names; each pointer leads to one.',
  KEYS_UNAVAILABLE: 'Repeat the request after Retry-After seconds: the service is starting.',
  LOG_PART_NOT_FOUND: 'Load the checkpoint first; a tile exists once the log is large enough.',
  NOT_ACCEPTABLE: 'Send one of the media types of the operation in Accept.',
  OUT_OF_TIME: 'Repeat the request after Retry-After seconds, a create with its Idempotency-Key.',
  PATIENT_EXISTS: 'Load the patient, or replace it with If-Match.',
  PATIENT_NOT_FOUND: 'Check the id. A merged patient is at the id in replacedBy.',
  PATIENT_NOT_WATCHED: 'Check the id: the patient is not on the list.',
  PATIENT_STALE: 'Load the patient again, apply the change to it, and send its new ETag in If-Match.',
  RECORD_NOT_FOUND: 'Check the id of the record or patient.',
  RECORD_NOT_SEQUENCED: 'Repeat the request in a few seconds: the record is about to be in the log.',
  REGISTER_BUSY: 'Repeat the request after Retry-After seconds.',
  REQUEST_UNDER_WAY: 'Repeat the request after Retry-After seconds; the answer is that of the first one.',
  SEVERAL_PATIENTS: 'Search by the identifier and decide which patient is meant.',
  STATE_CHANGE_REFUSED: 'Take the finding under review before it is closed; a closed one can be reopened.',
  TEST_EXISTS: 'Load the test result, or replace it with If-Match.',
  TEST_NOT_FOUND: 'Check both ids. A moved test result is at the path in replacedBy.',
  TEST_STALE: 'Load the test result again, apply the change to it, and send its new ETag in If-Match.',
  TOO_MANY_RECORDS: 'Ask for fewer records at a time, by from and to.',
  TOO_MANY_WATCHED: 'Stop to watch a patient first.',
  TRANSFER_IN_PROGRESS: 'Repeat the request after Retry-After seconds.',
  VERSION_NOT_FOUND: 'List the versions first. The newest version is the patient or test result itself.'
}
const DEFAULT_ADVICE = 'Read detail; errors names the properties if the request is at fault.'

/** What the gateway answers itself: `statusCode` and `message` instead of a problem. */
export const gatewayErrors: ExplainedError[] = [
  {
    code: '401',
    status: '401',
    meaning: 'The subscription key is missing, is not valid, or belongs to a product without this API',
    advice: 'Send Ocp-Apim-Subscription-Key. Patients need a client’s key, the register an auditor’s.'
  },
  {
    code: '403',
    status: '403',
    meaning: 'The product of the subscription does not include the operation, or its quota is used up',
    advice: 'Ask the operator for a key of another product; Retry-After says when a quota begins anew.'
  },
  {
    code: '404',
    status: '404',
    meaning: 'There is no such operation',
    advice: 'Compare method and path with those of the operations.'
  },
  {
    code: '429',
    status: '429',
    meaning: 'The subscription has made too many calls',
    advice: 'Repeat the request after Retry-After seconds.'
  },
  {
    code: '503',
    status: '503',
    meaning: 'The service cannot be reached or does not answer in time',
    advice: 'Repeat the request after Retry-After seconds, a create with its Idempotency-Key.'
  }
]

/** The errors that the documents name by code, in the order of their codes. */
export const explainedErrors: ExplainedError[] = collect()

function collect () {
  const found = new Map<string, ExplainedError>()
  for (const { responses } of operations) {
    for (const [status, { description }] of Object.entries(responses)) {
      for (const [, code, meaning] of description.matchAll(/(?:^|; )([A-Z][A-Z_]+): ([^;]+)/g)) {
        const advice = ADVICE[code!] ?? DEFAULT_ADVICE
        if (!found.has(code!)) found.set(code!, { code: code!, status, meaning: meaning!, advice })
      }
    }
  }
  return [...found.values()].toSorted((a, b) => a.code < b.code ? -1 : 1)
}
