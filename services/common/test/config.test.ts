import { test } from 'tap'
import { Type } from 'typebox'
import { DrainSettings, loadSettings, loadWithSecrets, ServerSettings, SettingsError } from '../config.ts'

const Settings = Type.Object({
  ...ServerSettings,
  KEY: Type.String({ format: 'key-256' }),
  CALLERS: Type.String({ format: 'cidrs' }),
  URL: Type.String({ format: 'http-url' }),
  CONNECTION: Type.String({ format: 'mongodb-uri' })
})
const good = {
  KEY: 'k'.repeat(43),
  CALLERS: '10.0.0.0/8, fd00::/8',
  URL: 'http://audit:8080',
  CONNECTION: 'mongodb://db'
}

test('settings are converted and have their defaults', async (t) => {
  t.match(loadSettings(Settings, { ...good, PORT: '90' }), {
    PORT: 90,
    HOST: '::',
    LOG_LEVEL: 'info',
    URL: 'http://audit:8080'
  })
})

test('a replica drains for 5 s by default, and for no longer than leaves it time to close', async (t) => {
  const load = (env: NodeJS.ProcessEnv) => loadSettings(Type.Object(DrainSettings), env).DRAIN_SECONDS
  t.equal(load({}), 5)
  t.equal(load({ DRAIN_SECONDS: '0' }), 0)
  for (const DRAIN_SECONDS of ['-1', '21', 'x']) {
    t.throws(() => load({ DRAIN_SECONDS }), { message: /^Settings: DRAIN_SECONDS must/ })
  }
})

test('an empty variable is not set', async (t) => {
  t.equal(loadSettings(Settings, { ...good, PORT: '' }).PORT, 8080)
})

test('a number is written in decimal notation, and nothing else is read as one', async (t) => {
  const Numbers = Type.Object({ PORT: ServerSettings.PORT, RATIO: Type.Number({ default: 1 }) })
  const accepted: Array<[text: string, number: number]> = [
    ['0', 0],
    ['80', 80],
    ['1.5', 1.5],
    ['-2', -2],
    ['0.25', 0.25]
  ]
  for (const [RATIO, number] of accepted) t.equal(loadSettings(Numbers, { RATIO }).RATIO, number)
  const refused = [
    ' ',
    '\t',
    '\n',
    ' 80',
    '80 ',
    '0x10',
    '0b1',
    '0o7',
    '1e3',
    '+5',
    '5.',
    '.5',
    '1_000',
    '1,000',
    'NaN',
    'Infinity',
    'true',
    '-'
  ]
  for (const text of refused) {
    const expected = {
      message:
        /^Settings: PORT must be integer in decimal notation; RATIO must be number in decimal notation$/
    }
    t.throws(() => loadSettings(Numbers, { PORT: text, RATIO: text }), expected, JSON.stringify(text))
  }
  t.throws(() => loadSettings(Numbers, { PORT: '1.5' }), { message: /^Settings: PORT must be integer/ })
  t.throws(() => loadSettings(Numbers, { PORT: '-1' }), { message: /^Settings: PORT must be >= 0/ })
})

test('one message names every setting that is wrong, and no value', async (t) => {
  const env = {
    PORT: 'secret1',
    KEY: 'secret2',
    CALLERS: '10.0.0.0/33',
    URL: 'http://audit/secret3',
    LOG_LEVEL: 'secret4'
  }
  t.throws(() => loadSettings(Settings, env), SettingsError)
  try {
    loadSettings(Settings, env)
  } catch (error) {
    const { message } = error as Error
    for (const name of ['PORT', 'KEY', 'CALLERS', 'URL', 'LOG_LEVEL', 'CONNECTION is missing']) {
      t.match(message, name)
    }
    t.notMatch(message, /secret|10\.0/)
  }
})

test('address lists are refused unless each entry is an address with a prefix that fits it', async (t) => {
  for (const CALLERS of [
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    'gateway/8',
    '10.0.0.0/8,',
    '10.0.0.0/8/8'
  ]) {
    t.throws(
      () => loadSettings(Settings, { ...good, CALLERS }),
      { message: /^Settings: CALLERS must be/ },
      CALLERS
    )
  }
})

const secrets = { 'patient-host-key': 'host-key', 'patient-data-key': 'key-256' } as const
const values = { PATIENT_HOST_KEY: 'k'.repeat(16), PATIENT_DATA_KEY: 'k'.repeat(43) }
const vault = { KEY_VAULT_URI: 'https://kv.vault.azure.net/' }
const load = (env: NodeJS.ProcessEnv) => loadWithSecrets(Type.Object({ ...ServerSettings }), secrets, env)

test('secrets come from settings of their own', async (t) => {
  t.match(load({ ...values, PORT: '90' }), {
    PORT: 90,
    secrets: {
      source: { 'patient-host-key': values.PATIENT_HOST_KEY, 'patient-data-key': values.PATIENT_DATA_KEY }
    }
  })
  t.throws(() => load({ PATIENT_DATA_KEY: 'secret' }), {
    message: 'Settings: PATIENT_HOST_KEY is missing; PATIENT_DATA_KEY must be 32 bytes in base64url'
  })
})

test('secrets come from the vault that KEY_VAULT_URI names', async (t) => {
  t.match(load({ ...vault, KEY_REFRESH_SECONDS: '5' }).secrets.source, {
    ...vault,
    KEY_REFRESH_SECONDS: 5,
    KEY_ROTATION_DAYS: 90
  })
  for (const env of [
    { KEY_VAULT_URI: 'http://kv.vault.azure.net' },
    { ...vault, AZURE_CLIENT_ID: 'secret' },
    { ...vault, KEY_REFRESH_SECONDS: '0.5' }
  ]) {
    t.throws(
      () => load(env),
      { name: 'SettingsError', message: /^Settings: [A-Z_]+ must/ },
      JSON.stringify(env)
    )
  }
})

test('both ways at once are a refusal that names the settings, and no value', async (t) => {
  t.throws(() => load({ ...vault, PATIENT_DATA_KEY: values.PATIENT_DATA_KEY }), {
    message: 'Settings: PATIENT_DATA_KEY and KEY_VAULT_URI exclude each other'
  })
})
