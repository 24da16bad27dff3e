import type {
  BlobServiceClient, BlockBlobClient, RestError, StoragePipelineOptions
} from '@azure/storage-blob'
import { text } from 'node:stream/consumers'
import { azureCredential } from '#common/secrets/azure-credential.ts'
import { StoreUnavailable } from '../errors.ts'
import { folderOf, nameOf, type LogState, type Store, type Stored } from './store.ts'

const CALL_MS = 5_000
/** The SDK's own retries end with a call. */
export const blobOptions: StoragePipelineOptions = { retryOptions: { maxTries: 2, retryDelayInMs: 200 } }

/** The containers: a policy that forbids changes holds for all blobs of one. */
export interface Containers {
  state: string
  checkpoints: string
}

/**
 * Azure Blob Storage. The state of a log is replaced under the condition that it is still the version that
 * was read (If-Match), and a checkpoint is created under the condition that there is none (If-None-Match).
 */
export class BlobStore implements Store {
  #open: () => Promise<BlobServiceClient>
  #opened: Promise<BlobServiceClient> | undefined
  #containers: Containers

  /** @param open returns the client; it is called once, when the store is first used */
  constructor (open: () => Promise<BlobServiceClient>, containers: Containers) {
    this.#open = open
    this.#containers = containers
  }

  async read (origin: string): Promise<Stored | undefined> {
    const blob = await this.#blob('state', folderOf(origin))
    try {
      const response = await blob.download(0, undefined, deadline())
      return { state: JSON.parse(await text(response.readableStreamBody!)), version: response.etag! }
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw unavailable(error)
    }
  }

  async replace (state: LogState, version: string | undefined) {
    const blob = await this.#blob('state', folderOf(state.origin))
    return await upload(blob, JSON.stringify(state), version)
  }

  async keep ({ origin, size, checkpoint }: LogState) {
    const blob = await this.#blob('checkpoints', `${folderOf(origin)}/${nameOf(size)}`)
    if (await upload(blob, checkpoint)) return checkpoint
    try {
      return await text((await blob.download(0, undefined, deadline())).readableStreamBody!)
    } catch (error) {
      throw unavailable(error)
    }
  }

  async #blob (container: keyof Containers, name: string) {
    this.#opened ??= this.#open()
    const client = await this.#opened
    return client.getContainerClient(this.#containers[container]).getBlockBlobClient(name)
  }
}

/** A client of the storage account at `url`, as the managed identity `clientId`. The SDK is loaded here. */
export async function openBlobs (url: string, clientId?: string) {
  const [credential, { BlobServiceClient }] =
    await Promise.all([azureCredential(clientId), import('@azure/storage-blob')])
  return new BlobServiceClient(url, credential, blobOptions)
}

/** Uploads `content` if the blob has `version`, or if there is none; false if another request was first. */
async function upload (blob: BlockBlobClient, content: string, version?: string) {
  const conditions = version === undefined ? { ifNoneMatch: '*' } : { ifMatch: version }
  try {
    await blob.upload(content, Buffer.byteLength(content), { ...deadline(), conditions })
    return true
  } catch (error) {
    // 409: there is a blob, or an immutable one
    if (statusOf(error) === 412 || statusOf(error) === 409) return false
    throw unavailable(error)
  }
}

const deadline = () => ({ abortSignal: AbortSignal.timeout(CALL_MS) })
const statusOf = (error: unknown) => (error as RestError).statusCode
const unavailable = (cause: unknown) => Object.assign(new StoreUnavailable(), { cause })
