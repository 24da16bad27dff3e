import { test } from 'tap'
import { Type } from 'typebox'
import { loadSettings, ServerSettings, SettingsError } from '../config.ts'

const Settings = Type.Object({
  ...ServerSettings,
  KEY: Type.String({ format: 'key-256' }),
  CALLERS: Type.String({ format: 'cidrs' }),
  URL: Type.String({ format: 'http-url' }),
  CONNECTION: Type.String({ format: 'mongodb-uri' })
})
const good = { KEY: 'k'.repeat(43), CALLERS: '10.0.0.0/8, fd00::/8', URL: 'http://audit:8080', CONNECTION: 'mongodb://db' }

test('settings are converted and have their defaults', async (t) => {
  t.match(loadSettings(Settings, { ...good, PORT: '90' }), { PORT: 90, HOST: '::', LOG_LEVEL: 'info', URL: 'http://audit:8080' })
})

test('an empty variable is not set', async (t) => {
  t.equal(loadSettings(Settings, { ...good, PORT: '' }).PORT, 8080)
})

test('one message names every setting that is wrong, and no value', async (t) => {
  const env = { PORT: 'secret1', KEY: 'secret2', CALLERS: '10.0.0.0/33', URL: 'http://audit/secret3', LOG_LEVEL: 'secret4' }
  t.throws(() => loadSettings(Settings, env), SettingsError)
  try {
    loadSettings(Settings, env)
  } catch (error) {
    const { message } = error as Error
    for (const name of ['PORT', 'KEY', 'CALLERS', 'URL', 'LOG_LEVEL', 'CONNECTION is missing']) t.match(message, name)
    t.notMatch(message, /secret|10\.0/)
  }
})

test('address lists are refused unless each entry is an address with a prefix that fits it', async (t) => {
  for (const CALLERS of ['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '::/129', 'gateway/8', '10.0.0.0/8,', '10.0.0.0/8/8']) {
    t.throws(() => loadSettings(Settings, { ...good, CALLERS }), { message: /^Settings: CALLERS must be/ }, CALLERS)
  }
})
