import { DEFAULT_LOCAL_DIR } from './config.ts'
import { urlOf, type System } from './processes.ts'
import type { Provisioned } from './provision.ts'

/** What a person needs to use a running system; the last lines are for pasting. */
export function banner (system: System, { keys, publicKeys: { witness } }: Provisioned) {
  const baseUrl = urlOf(system, 'gateway')
  const header = quote(`Ocp-Apim-Subscription-Key: ${keys.client}`)
  const name = { firstName: 'Ada', lastName: 'Lovelace' }
  const patient = { ...name, gender: 'female', dateOfBirth: '1915-12-10', postCode: 'W1S4' }
  const { LOCAL_DIR } = system.config
  const elsewhere = LOCAL_DIR === DEFAULT_LOCAL_DIR ? '' : `LOCAL_DIR=${quote(LOCAL_DIR)} `
  return `
Ready at ${baseUrl}
Portal: ${baseUrl}/
${system.hasAuditorPage ? `Auditor's page: ${baseUrl}/auditor\n` : ''}\
${system.monitored ? `Monitor: ${urlOf(system, 'monitor')}/\n` : ''}\
Subscription key: ${keys.client}
Subscription key of an auditor: ${keys.auditor}
Public key of the witness: ${witness}
Audit register: ${elsewhere}npm run register -- --follow
Logs: ${system.path('logs')}

Store a patient, then find it:
curl -i -w '\\n' ${baseUrl}/patient -H ${header} -d '${JSON.stringify(patient)}'
curl -i -w '\\n' ${baseUrl}/patient/search -H ${header} -d '{"lastName":"Lovelace"}'
`
}

function quote (word: string) {
  return `'${word.replaceAll("'", "'\\''")}'`
}
