import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeployError } from './commands.ts'

/**
 * Checks that every value in a file of variables has a variable. Terraform only warns of others, as of those
 * whose names have changed, and would apply the default.
 *
 * @param directory the root module
 * @param file relative to it
 * @throws {DeployError} names the values that have no variable
 */
export function checkVariables (directory: string, file: string) {
  const sources = readdirSync(directory).filter((name) => name.endsWith('.tf'))
    .map((name) => readFileSync(join(directory, name), 'utf8')).join('\n')
  const known = new Set(Array.from(sources.matchAll(/^variable "(\w+)"/gm), ([, name]) => name))
  const values = readFileSync(join(directory, file), 'utf8')
  const set = Array.from(values.matchAll(/^(\w+) *=/gm), ([, name]) => name!)
  const unknown = set.filter((name) => !known.has(name))
  if (unknown.length === 0) return
  throw new DeployError(`terraform/${file} sets ${unknown.join(', ')}, which is no variable: see ` +
    '"Upgrade the configuration" in docs/azure.md')
}
