import rateLimit from '@fastify/rate-limit'
import type { DestinationStream } from 'pino'
import { allowList } from '#common/guard/allow-list.ts'
import { refusals } from '#common/guard/refusals.ts'
import { createService } from '#common/http/create-service.ts'
import { health } from '#common/http/health.ts'
import { sendRouteNotFound } from '#common/http/problems.ts'
import { secrets, secretsLoaded } from '#common/secrets/key-vault.ts'
import { cosignerOf } from '#common/transparency/notes.ts'
import type { Config } from './config.ts'
import { TooManyRequests } from './errors.ts'
import { witnessRoutes } from './routes.ts'
import { BlobStore, openBlobs } from './stores/blob.ts'
import { FolderStore } from './stores/folder.ts'
import type { Store } from './stores/store.ts'
import { Witness } from './witness.ts'

interface Options {
  logStream?: DestinationStream
  /** Instead of the one that the settings name. */
  store?: Store
}

/** The witness: POST /add-checkpoint cosigns a checkpoint of a log that extends the one before. */
export async function buildApp (config: Config, { logStream, store = storeOf(config) }: Options = {}) {
  const app = createService('witness', config, logStream)
  await app.register(secrets, { settings: config.secrets })
  const seed = (value: string) => cosignerOf(config.WITNESS_NAME, Buffer.from(value, 'base64url'))
  const key = app.secrets.open('witness-key', seed)
  const cosigners = () => key.validVersions().map(({ value }) => value)
  const witness = new Witness({
    store, logs: config.logs, firstSize: config.FIRST_SIZE, cosigners, log: app.log
  })

  app.register(health, { ready: () => app.secrets.loaded })
  app.register(async (guarded) => {
    // Refused calls are counted and logged: the witness has no register
    await guarded.register(refusals, { record: async () => {} })
    await guarded.register(allowList, config)
    await guarded.register(rateLimit, {
      max: config.RATE_LIMIT,
      timeWindow: '1 minute',
      keyGenerator: ({ callerAddress }) => callerAddress,
      errorResponseBuilder: (_request, { ttl }) => {
        return Object.assign(new TooManyRequests(), { retryAfter: Math.ceil(ttl / 1_000) })
      }
    })
    guarded.addHook('onRequest', secretsLoaded)
    guarded.setNotFoundHandler(sendRouteNotFound)
    guarded.register(witnessRoutes, { witness })
  })
  return app
}

function storeOf ({ STORE_DIR, STORE_URL, STATE_CONTAINER, CHECKPOINT_CONTAINER, AZURE_CLIENT_ID }: Config) {
  if (STORE_DIR !== undefined) return new FolderStore(STORE_DIR)
  const containers = { state: STATE_CONTAINER, checkpoints: CHECKPOINT_CONTAINER }
  return new BlobStore(() => openBlobs(STORE_URL!, AZURE_CLIENT_ID), containers)
}
