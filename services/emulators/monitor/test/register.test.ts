import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { preloads } from '../../processes/child.ts'
import { settingsOf } from '../../../cli/system/identity.ts'
import { freePorts } from '../../processes/probes.ts'
import { identityFile } from '../../../cli/system/state.ts'
import { startSystem } from '../../../test/system.ts'
import { newId } from './envelopes.ts'
import { certificates } from './monitor.ts'

const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))

t.test('reads the register of a running system with the connection string of the viewer', async (t) => {
  const system = await startSystem()
  t.teardown(() => system.stop())
  const { vault, audit } = system.run
  const [port, ingestion] = (await freePorts(2)) as [number, number]
  const { settings } = await certificates(t)
  const monitor = spawn(process.execPath, [...preloads, MAIN], {
    env: {
      ...settings,
      ...settingsOf('viewer', vault.url, readFileSync(identityFile(system.localDir, 'viewer'), 'utf8')),
      NODE_EXTRA_CA_CERTS: join(system.localDir, 'certificates/ca.pem'),
      DATABASE_NAME: audit.database,
      PORT: String(port),
      INGESTION_PORT: String(ingestion)
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
  const closed = once(monitor, 'close')
  let logs = ''
  monitor.stdout!.setEncoding('utf8').on('data', (chunk) => {
    logs += chunk
  })

  const operationId = newId()
  const response = await fetch(`${system.baseUrl}/patient`, {
    method: 'POST',
    headers: {
      'ocp-apim-subscription-key': system.subscriptionKey,
      traceparent: `00-${operationId}-${newId(16)}-01`
    },
    body: JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' })
  })
  const { id } = (await response.json()) as { id: string }

  const page = async () => (await fetch(`http://127.0.0.1:${port}/operations/${operationId}`)).text()
  let text = ''
  while (!text.includes('1 record')) {
    await sleep(50)
    text = await page().catch(() => '')
    if (monitor.exitCode !== null) throw new Error('the monitor has ended')
  }
  t.match(text, 'create patient')
  t.match(text, id)
  monitor.kill('SIGTERM')
  t.same(await closed, [0, null])
  t.notMatch(logs, id)
})
