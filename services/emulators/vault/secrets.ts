import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest, FastifySchema } from 'fastify'
import { Type, type Static, type TSchema } from 'typebox'
import type { DataAction } from './access.ts'
import {
  BadParameter, DeletedButRecoverable, DeletedSecretNotFound, MethodNotAllowed, NoOperation, SecretDisabled,
  SecretNotFound
} from './errors.ts'
import type { Secret, Secrets, Store, Version } from './store.ts'

const PAGE = 25
const VALUE_BYTES = 25 * 1024
const RETENTION_DAYS = 90
const DAY_SECONDS = 24 * 60 * 60

const Nullable = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))
const Seconds = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

// The service ignores what it does not know, and what only it sets: created, updated and the like
const Tag = Type.String({ pattern: '^[^]{0,512}$' })
const TagValue = Type.String({ maxLength: 512 })
const Properties = Type.Object({
  contentType: Nullable(Type.String({ maxLength: 255 })),
  tags: Nullable(Type.Record(Tag, TagValue, { maxProperties: 15, additionalProperties: false })),
  attributes: Nullable(Type.Object({
    enabled: Nullable(Type.Boolean()), nbf: Nullable(Seconds), exp: Nullable(Seconds)
  }))
})
const NewVersion = Type.Object({ ...Properties.properties, value: Type.String() })

const OfSecret = Type.Object({ name: Type.String() })
const OfVersion = Type.Object({ name: Type.String(), version: Type.Optional(Type.String()) })
const Paging = Type.Object({
  maxresults: Type.Integer({ default: PAGE, minimum: 1, maximum: PAGE }),
  $skiptoken: Type.Integer({ default: 0, minimum: 0 })
})
const ofSecret = { params: OfSecret }
const ofVersion = { params: OfVersion }
const ofVault = { querystring: Paging }

const PATHS = /^\/(?:secrets(?:\/[^/?]+){0,2}|deletedsecrets(?:\/[^/?]+){0,2})\/?(?:\?|$)/

/** Key Vault's REST API for secrets, for authorised callers. Source: its reference, 7.4 and later. */
export const secretRoutes: FastifyPluginAsyncTypebox<{ store: Store }> = async (app, { store }) => {
  app.setNotFoundHandler(({ url }) => { throw PATHS.test(url) ? new MethodNotAllowed() : new NoOperation() })

  const setSecret = options('setSecret', 'setSecret/action', { params: OfSecret, body: NewVersion })
  app.put('/secrets/:name', setSecret, async (request) => {
    const { params: { name }, body } = request
    const { value } = body
    const isTooLarge = Buffer.byteLength(value) > VALUE_BYTES
    if (isTooLarge) throw new BadParameter('#/value must not have more than 25 KiB')
    return bundle(request, await store.change((secrets) => {
      const known = secrets.get(name)
      if (known && isDeleted(known)) throw new DeletedButRecoverable(name)
      const times = { created: now(), updated: now() }
      const version = { id: randomUUID().replaceAll('-', ''), value, enabled: true, ...times, ...given(body) }
      secrets.set(name, { versions: [...known?.versions ?? [], version] })
      return version
    }))
  })

  for (const url of ['/secrets/:name', '/secrets/:name/:version']) {
    app.get(url, options('getSecret', 'getSecret/action', ofVersion), async (request) => {
      const { version } = find(store.secrets, request.params)
      // Also before nbf and after exp, which clients must check
      if (!version.enabled) throw new SecretDisabled()
      return bundle(request, version)
    })

    const updateSecret = options('updateSecret', 'update/action', { params: OfVersion, body: Properties })
    app.patch(url, updateSecret, async (request) => {
      const { params, body } = request
      return described(request, await store.change((secrets) => {
        const { versions, version: old } = find(secrets, params)
        const version = { ...old, updated: now(), ...given(body) }
        secrets.set(params.name, { versions: versions.map((other) => other === old ? version : other) })
        return version
      }))
    })
  }

  const ofVersions = { ...ofSecret, ...ofVault }
  const getSecretVersions = options('getSecretVersions', 'readMetadata/action', ofVersions)
  app.get('/secrets/:name/versions', getSecretVersions, async (request) => {
    const { name } = request.params
    const secret = store.secrets.get(name)
    const versions = !secret || isDeleted(secret) ? [] : secret.versions
    return page(request, versions, (version) => item(request, name, version, version.id))
  })

  app.get('/secrets', options('getSecrets', 'readMetadata/action', ofVault), async (request) => {
    const live = sorted(store.secrets).filter(([, secret]) => !isDeleted(secret))
    return page(request, live, ([name, secret]) => item(request, name, newest(secret)))
  })

  app.delete('/secrets/:name', options('deleteSecret', 'delete', ofSecret), async (request) => {
    const { name } = request.params
    return deletedItem(request, name, await store.change((secrets) => {
      const { versions } = find(secrets, { name })
      const deleted = { versions, deleted: now() }
      secrets.set(name, deleted)
      return deleted
    }), true)
  })

  const getDeletedSecrets = options('getDeletedSecrets', 'readMetadata/action', ofVault)
  app.get('/deletedsecrets', getDeletedSecrets, async (request) => {
    const deleted = sorted(store.secrets).filter(([, secret]) => isDeleted(secret))
    return page(request, deleted, ([name, secret]) => deletedItem(request, name, secret))
  })

  const getDeletedSecret = options('getDeletedSecret', 'readMetadata/action', ofSecret)
  app.get('/deletedsecrets/:name', getDeletedSecret, async (request) => {
    const { name } = request.params
    return deletedItem(request, name, findDeleted(store.secrets, name), true)
  })

  const recoverDeletedSecret = options('recoverDeletedSecret', 'recover/action', ofSecret)
  app.post('/deletedsecrets/:name/recover', recoverDeletedSecret, async (request) => {
    const { name } = request.params
    return described(request, await store.change((secrets) => {
      const { versions } = findDeleted(secrets, name)
      secrets.set(name, { versions })
      return newest({ versions })
    }))
  })

  const purgeDeletedSecret = options('purgeDeletedSecret', 'purge/action', ofSecret)
  app.delete('/deletedsecrets/:name', purgeDeletedSecret, async ({ params: { name } }, reply) => {
    await store.change((secrets) => {
      findDeleted(secrets, name)
      secrets.delete(name)
    })
    return reply.code(204).send()
  })
}

function options<S extends FastifySchema> (operation: string, action: DataAction, schema: S) {
  return { schema, config: { operation, action } }
}

function now () {
  return Math.floor(Date.now() / 1_000)
}

function newest ({ versions }: Secret) {
  return versions.at(-1)!
}

function isDeleted (secret: Secret) {
  return secret.deleted !== undefined
}

function sorted (secrets: Secrets) {
  return [...secrets].sort(([a], [b]) => a < b ? -1 : 1)
}

/** The versions of a secret, and the wanted one or the newest. */
function find (secrets: Secrets, { name, version: id }: Static<typeof OfVersion>) {
  const secret = secrets.get(name)
  if (!secret || isDeleted(secret)) throw new SecretNotFound(name)
  const { versions } = secret
  const version = id === undefined ? newest(secret) : versions.find((one) => one.id === id)
  if (!version) throw new SecretNotFound(name)
  return { versions, version }
}

function findDeleted (secrets: Secrets, name: string) {
  const secret = secrets.get(name)
  if (!secret || !isDeleted(secret)) throw new DeletedSecretNotFound(name)
  return secret
}

/** The properties that a body sets; those that are missing or null stay unchanged. */
function given ({ contentType, tags, attributes }: Static<typeof Properties>): Partial<Version> {
  const { enabled, nbf, exp } = attributes ?? {}
  const properties = { contentType, tags, enabled, nbf, exp }
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value != null))
}

// The responses: a bundle has the value, an item of a list never does

function bundle (request: FastifyRequest, version: Version) {
  return { value: version.value, ...described(request, version) }
}

function described (request: FastifyRequest, version: Version) {
  request.access.version = version.id
  return item(request, (request.params as { name: string }).name, version, version.id)
}

function item (request: FastifyRequest, name: string, version: Version, id?: string) {
  const { contentType, tags, enabled, nbf, exp, created, updated } = version
  const recovery = { recoveryLevel: 'Recoverable+Purgeable', recoverableDays: RETENTION_DAYS }
  const attributes = { enabled, nbf, exp, created, updated, ...recovery }
  const path = id === undefined ? name : `${name}/${id}`
  return { id: `${base(request)}/secrets/${path}`, contentType, tags, attributes }
}

function deletedItem (request: FastifyRequest, name: string, secret: Secret, withVersion = false) {
  const version = newest(secret)
  return {
    recoveryId: `${base(request)}/deletedsecrets/${name}`,
    deletedDate: secret.deleted!,
    scheduledPurgeDate: secret.deleted! + RETENTION_DAYS * DAY_SECONDS,
    ...item(request, name, version, withVersion ? version.id : undefined)
  }
}

function page<T> (request: FastifyRequest, all: readonly T[], describe: (element: T) => object) {
  const { maxresults, $skiptoken: from } = request.query as Static<typeof Paging>
  const to = from + maxresults
  const next = new URL(request.url, base(request))
  next.searchParams.set('maxresults', String(maxresults))
  next.searchParams.set('$skiptoken', String(to))
  return { value: all.slice(from, to).map(describe), nextLink: to < all.length ? next.href : null }
}

function base ({ host }: FastifyRequest) {
  return `https://${host}`
}
