// Starts a service without its dependencies, so that the modules that it loads are in the compile cache
import { readdirSync } from 'node:fs'
import { flushCompileCache } from 'node:module'

const settings = {
  PORT: '0',
  LOG_LEVEL: 'silent',
  ALLOWED_CALLERS: '127.0.0.1/32',
  KEY_VAULT_URI: 'https://127.0.0.1:9',
  AZURE_CLIENT_ID: '00000000-0000-0000-0000-000000000000',
  IDENTITY_ENDPOINT: 'http://127.0.0.1:9',
  IDENTITY_HEADER: 'none',
  APPLICATIONINSIGHTS_CONNECTION_STRING:
    'InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://127.0.0.1:9/'
}

const own = {
  audit: { CHECK_PROOF_DIR: '/app' },
  patient: { AUDIT_URL: 'http://127.0.0.1:9' },
  auditor: { GATEWAY_URL: 'http://127.0.0.1:9' },
  witness: { LOGS: 'log+07108162+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop', STORE_DIR: '/tmp' }
}

Object.assign(process.env, settings, own[process.argv[2]])
await import('/app/main.mjs')
// Imported only after many calls
const files = readdirSync('/app').filter((file) => /^undici-.*\.mjs$/.test(file))
for (const file of files) await import(`/app/${file}`)
setTimeout(() => {
  flushCompileCache()
  process.exit(0)
}, 1_500)
