import { test } from 'tap'
import access from '../../access.json' with { type: 'json' }
import { signerOf } from '../transparency/notes.ts'
import { loadConfig as loadAudit } from '../../audit/config.ts'
import { loadConfig as loadAuditor } from '../../auditor/config.ts'
import { loadConfig as loadGateway } from '../../emulators/gateway/config.ts'
import { loadConfig as loadPatient } from '../../patient/config.ts'
import { loadConfig as loadWitness } from '../../witness/config.ts'
import { secretNames } from '../../rotation/strategies.ts'

const env = {
  KEY_VAULT_URI: 'https://vault.localhost',
  ALLOWED_CALLERS: '127.0.0.1/32',
  AUDIT_URL: 'http://audit',
  PATIENT_URL: 'http://patient',
  GATEWAY_URL: 'http://gateway',
  LOGS: signerOf('a-log', Buffer.alloc(32)).vkey,
  STORE_DIR: '/none'
}

test('each service may read the secrets that its settings name, and no others', async (t) => {
  const configs = {
    patient: loadPatient(env),
    audit: loadAudit(env),
    gateway: loadGateway(env),
    witness: loadWitness(env),
    auditor: loadAuditor(env)
  }
  for (const [name, { secrets }] of Object.entries(configs)) {
    t.strictSame(
      access[name as keyof typeof configs].read.toSorted(),
      Object.keys(secrets.formats).toSorted(),
      name
    )
  }
})

test('the rotation manages the secrets that it can rotate', async (t) => {
  t.strictSame(access.rotation.manage.toSorted(), secretNames.toSorted())
})

test('the deployer manages every secret', async (t) => {
  const read = Object.values(access).flatMap(({ read }) => read)
  t.strictSame(access.deployer.manage.toSorted(), [...new Set(read)].toSorted())
})
