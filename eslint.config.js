import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

const TESTS = ['**/test/**', 'terraform/tests/**']
const SERVICES = ['patient', 'audit', 'witness', 'rotation', 'auditor']
const MAX_LEN = { code: 110, ignoreUrls: true, ignoreRegExpLiterals: true }

/** Files of `files`, tests aside, import nothing whose path has one of `folders` in it. */
function importsNothingOf (files, folders, message) {
  const patterns = [{ regex: `/(${folders.join('|')})/`, message }]
  return { files, ignores: TESTS, rules: { 'no-restricted-imports': ['error', { patterns }] } }
}

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
  // A schema and the type made from it share one name
  { rules: { '@typescript-eslint/no-redeclare': 'off', 'no-redeclare': 'off' } },
  { rules: { 'max-len': ['error', MAX_LEN] } },

  ...SERVICES.map((name) => importsNothingOf(
    [`services/${name}/**/*.ts`],
    ['emulators', 'cli', 'bench', 'test', ...SERVICES.filter((other) => other !== name)],
    'A service imports only its own modules and those of common.'
  )),
  importsNothingOf(['services/common/**/*.ts'], ['emulators', 'cli', 'bench', 'test', ...SERVICES],
    'common imports only its own modules.'),
  importsNothingOf(['services/emulators/**/*.ts'], ['cli', 'bench', 'test'],
    'Emulators import nothing of the command line, the benchmarks or tests.'),
  { files: ['services/emulators/monitor/**'], rules: { 'no-restricted-imports': 'off' } },
  importsNothingOf(['services/cli/**/*.ts', 'docker/*.ts', 'terraform/*.ts'], ['bench', 'test', 'tests'],
    'Only tests import tests.'),
  // The benchmarks and k6 run the system as its tests do, with services/test/system.ts and ingestion.ts
  {
    files: ['services/bench/**/*.ts', 'k6/**/*.ts', 'docker/bench/*.ts'],
    ignores: TESTS,
    rules: {
      'no-restricted-imports': ['error', {
        patterns: [{ regex: '\\.test\\.ts$|/test/(?!system|ingestion)', message: 'Only tests import tests.' }]
      }]
    }
  },
  {
    files: ['services/**/*.ts'],
    // A main passes the environment to its loadConfig; commands and benchmarks pass it to what they start;
    // some options of the telemetry SDK can be set in the environment alone
    ignores: [
      ...TESTS, '**/config.ts', '**/main.ts', '**/*-job.ts', 'services/cli/**', '**/bench/**',
      'services/common/telemetry/telemetry.ts'
    ],
    rules: { 'n/no-process-env': 'error' }
  }
]
