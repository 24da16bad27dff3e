import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
  // A schema and the type made from it share one name
  { rules: { '@typescript-eslint/no-redeclare': 'off', 'no-redeclare': 'off' } }
]
