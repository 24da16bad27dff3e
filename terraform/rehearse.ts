// node terraform/rehearse.ts GROUP: restores both databases beside those in use, and deletes the copies.
import { parseArgs } from 'node:util'
import { DeployError, handleSignals, outputOf, run, startCleaning } from './deploy/commands.ts'

const USAGE = `Rehearses a restore of both databases: steps 2 to 4 of RESTORE.md.

node terraform/rehearse.ts RESOURCE_GROUP [--at TIME]

  --at TIME  the point in time, in UTC: 2026-01-01T12:00:00Z; otherwise an hour ago
`
const SERVICES = ['audit', 'patient']
const HOUR_MS = 3_600_000

try {
  await main()
} catch (error) {
  if (!(error instanceof DeployError)) throw error
  process.stderr.write(`rehearse: ${error.message}\n`)
  process.exitCode = 1
}

async function main () {
  const { values: { at }, positionals: [group, ...rest] } = parseArgs({
    allowPositionals: true, options: { at: { type: 'string' } }
  })
  const time = at ?? new Date(Date.now() - HOUR_MS).toISOString()
  if (!group || rest.length > 0 || Number.isNaN(Date.parse(time))) throw new DeployError(USAGE)
  handleSignals()
  const list = ['cosmosdb', 'list', '--resource-group', group, '--query', '[].name', '--output', 'tsv']
  const names = (await outputOf('az', ...list)).split('\n')
  const copies: string[] = []
  try {
    for (const service of SERVICES) {
      const account = names.find((name) => name.includes(`-${service}-`) && !name.endsWith('-r'))
      if (!account) throw new DeployError(`${group} has no database of ${service}`)
      copies.push(`${account}-r`)
      await rehearse(group, service, account, time)
    }
  } finally {
    startCleaning()
    for (const copy of copies) await remove(group, copy)
  }
}

/** Restores the account of a service, and compares its collections with those in use. */
async function rehearse (group: string, service: string, account: string, time: string) {
  const began = performance.now()
  const of = ['--resource-group', group]
  const show = ['cosmosdb', 'show', ...of, '--name', account, '--query', 'location', '--output', 'tsv']
  const target = ['--target-database-account-name', `${account}-r`, '--restore-timestamp', time]
  const place = ['--location', await outputOf('az', ...show), '--public-network-access', 'Disabled']
  const source = ['--output', 'none', '--account-name', account]
  await run('az', ['cosmosdb', 'restore', ...of, ...source, ...target, ...place])
  const collections = (name: string) => {
    const of = ['--resource-group', group, '--account-name', name, '--database-name', service]
    const query = ['--query', 'sort([].name)', '--output', 'tsv']
    return outputOf('az', 'cosmosdb', 'mongodb', 'collection', 'list', ...of, ...query)
  }
  const [used, restored] = [await collections(account), await collections(`${account}-r`)]
  if (restored !== used) {
    throw new DeployError(`the copy of ${service} lacks collections: ${restored || 'all'}`)
  }
  const minutes = Math.ceil((performance.now() - began) / 60_000)
  process.stdout.write(`${service}: restored to ${time} in ${minutes} min\n`)
}

/** Also removes what an interrupted restore has begun. */
async function remove (group: string, copy: string) {
  const of = ['--resource-group', group, '--name', copy]
  await run('az', ['cosmosdb', 'delete', ...of, '--yes', '--output', 'none'])
    .catch(() => process.stderr.write(`*** Delete ${copy} by hand, if it exists. ***\n`))
}
