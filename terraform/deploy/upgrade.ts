// An upgrade beside the version in use: the revisions that stay live, and whether their successors are ready.
import { DeployError, outputOf, retry } from './commands.ts'

const APPS = ['patient', 'audit']
// The revision that an upgrade labelled; before one, the revision that has all traffic
const LIVE = "(properties.configuration.ingress.traffic[?label=='live'] | [0].revisionName)" +
  ' || properties.latestReadyRevisionName'

/** Resource groups, by region. */
type Groups = Record<string, string>
/** Suffixes of revisions, by region and app. */
type Revisions = Record<string, Record<string, string>>

/**
 * The revisions in use, which are the value of the variable `upgrade.live`.
 *
 * @throws {DeployError} an app does not exist yet, or has no revision that is ready
 */
export async function liveRevisions (groups: Groups): Promise<Revisions> {
  const revisions: Revisions = {}
  for (const [region, group] of Object.entries(groups)) {
    revisions[region] = {}
    for (const app of APPS) {
      const name = await show(app, group, LIVE)
      const [owner, suffix] = name.split('--')
      if (owner !== app || !suffix) throw new DeployError(`${app} in ${group} has no revision that is ready`)
      revisions[region][app] = suffix
    }
  }
  return revisions
}

/**
 * Waits until each app has a newer revision than the live one, and it is ready: database and keys included.
 *
 * @throws {DeployError} one is not ready after the last attempt
 */
export async function waitForCandidates (groups: Groups, live: Revisions, attempts: number, waitMs: number) {
  const query = '[properties.latestRevisionName, properties.latestReadyRevisionName]'
  for (const [region, group] of Object.entries(groups)) {
    for (const app of APPS) {
      await retry(attempts, waitMs, async () => {
        const [latest, ready] = (await show(app, group, query)).split(/\s+/)
        if (latest !== ready || latest === `${app}--${live[region]?.[app]}`) {
          throw new DeployError(`${app} in ${group} has no new revision that is ready`)
        }
      })
    }
  }
}

function show (app: string, group: string, query: string) {
  const place = ['--name', app, '--resource-group', group]
  return outputOf('az', 'containerapp', 'show', ...place, '--query', query, '--output', 'tsv')
}
