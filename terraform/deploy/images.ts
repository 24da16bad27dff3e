import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outputOf, retry, run } from './commands.ts'

export const IMAGES = ['patient', 'audit', 'rotation', 'auditor']
const ROOT = join(import.meta.dirname, '../..')
const ATTEMPTS = 20
const WAIT_MS = Number(process.env.DEPLOY_WAIT_MS ?? 15_000)

/**
 * Builds the images and pushes them to the registry `name`, tagged with the commit, because the registry
 * deletes untagged images.
 *
 * @returns their digests as JSON
 */
export async function buildImages (name: string, server: string) {
  const commit = await outputOf('git', '-C', ROOT, 'rev-parse', 'HEAD')
  const directory = mkdtempSync(join(tmpdir(), 'images-'))
  try {
    // The registry admits this machine some time after its rule exists
    await retry(ATTEMPTS, WAIT_MS, () => run('az', ['acr', 'login', '--name', name]))
    const images: Record<string, string> = {}
    for (const image of IMAGES) {
      const metadata = join(directory, `${image}.json`)
      const file = ['--file', join(ROOT, 'docker/Dockerfile'), '--platform', 'linux/amd64', '--target', image]
      const push = ['--tag', `${server}/${image}:${commit}`, '--push', '--metadata-file', metadata]
      await run('docker', ['buildx', 'build', ...file, ...push, ROOT])
      const { 'containerimage.digest': digest } = JSON.parse(readFileSync(metadata, 'utf8'))
      images[image] = `${server}/${image}@${digest}`
    }
    return JSON.stringify(images)
  } finally {
    rmSync(directory, { recursive: true })
  }
}
