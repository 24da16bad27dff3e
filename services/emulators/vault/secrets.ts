import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type, type Static, type TSchema } from 'typebox'
import {
  BadParameter, DeletedButRecoverable, DeletedSecretNotFound, MethodNotAllowed, NoOperation, SecretDisabled,
  SecretNotFound
} from './errors.ts'
import type { Secret, Store, Version } from './store.ts'

const PAGE = 25
const VALUE_BYTES = 25 * 1024
const RETENTION_DAYS = 90
const DAY_SECONDS = 24 * 60 * 60

const Nullable = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))
const Seconds = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

// The service ignores what it does not know, and what only it sets: created, updated and the like
const Tag = Type.String({ pattern: '^[^]{0,512}$' })
const Properties = Type.Object({
  contentType: Nullable(Type.String({ maxLength: 255 })),
  tags: Nullable(
    Type.Record(Tag, Type.String({ maxLength: 512 }), { maxProperties: 15, additionalProperties: false })
  ),
  attributes: Nullable(Type.Object({
    enabled: Nullable(Type.Boolean()),
    nbf: Nullable(Seconds),
    exp: Nullable(Seconds)
  }))
})
const NewVersion = Type.Object({ ...Properties.properties, value: Type.String() })

const OfSecret = Type.Object({ name: Type.String() })
const OfVersion = Type.Object({ name: Type.String(), version: Type.String() })
const Paging = Type.Object({
  maxresults: Type.Integer({ default: PAGE, minimum: 1, maximum: PAGE }),
  $skiptoken: Type.Integer({ default: 0, minimum: 0 })
})

const PATHS = /^\/(?:secrets(?:\/[^/?]+){0,2}|deletedsecrets(?:\/[^/?]+){0,2})\/?(?:\?|$)/

/** Key Vault's REST API for secrets, for authorised callers. Source: its reference, 7.4 and later. */
export const secretRoutes: FastifyPluginAsyncTypebox<{ store: Store }> = async (app, { store }) => {
  app.setNotFoundHandler(({ url }) => { throw PATHS.test(url) ? new MethodNotAllowed() : new NoOperation() })

  app.put('/secrets/:name', {
    schema: { params: OfSecret, body: NewVersion },
    config: { operation: 'setSecret', action: 'setSecret/action' }
  }, async (request) => {
    const { params: { name }, body } = request
    const { value } = body
    if (Buffer.byteLength(value) > VALUE_BYTES) throw new BadParameter('#/value must not have more than 25 KiB')
    const version = await store.change((secrets) => {
      const known = secrets.get(name)
      if (isDeleted(known)) throw new DeletedButRecoverable(name)
      const times = { created: now(), updated: now() }
      const id = randomUUID().replaceAll('-', '')
      const version = { id, value, enabled: true, ...times, ...given(body) }
      secrets.set(name, { versions: [...known?.versions ?? [], version] })
      return version
    })
    return bundle(request, version)
  })

  for (const url of ['/secrets/:name', '/secrets/:name/:version']) {
    app.get(url, {
      schema: { params: Type.Partial(OfVersion) },
      config: { operation: 'getSecret', action: 'getSecret/action' }
    }, async (request) => {
      const version = find(store.secrets, request)
      // Also before nbf and after exp, which clients must check
      if (!version.enabled) throw new SecretDisabled()
      return bundle(request, version)
    })

    app.patch(url, {
      schema: { params: Type.Partial(OfVersion), body: Properties },
      config: { operation: 'updateSecret', action: 'update/action' }
    }, async (request) => {
      const { params: { name }, body } = request
      const version = await store.change((secrets) => {
        const old = find(secrets, request)
        const version = { ...old, updated: now(), ...given(body) }
        const { versions } = secrets.get(name!)!
        secrets.set(name!, { versions: versions.map((other) => other === old ? version : other) })
        return version
      })
      return described(request, version)
    })
  }

  app.get('/secrets/:name/versions', {
    schema: { params: OfSecret, querystring: Paging },
    config: { operation: 'getSecretVersions', action: 'readMetadata/action' }
  }, async (request) => {
    const { name } = request.params
    const secret = store.secrets.get(name)
    const versions = isDeleted(secret) ? [] : secret?.versions ?? []
    return page(request, versions, (version) => item(request, name, version, version.id))
  })

  app.get('/secrets', {
    schema: { querystring: Paging },
    config: { operation: 'getSecrets', action: 'readMetadata/action' }
  }, async (request) => {
    const all = [...store.secrets].filter(([, secret]) => !isDeleted(secret)).sort(byName)
    return page(request, all, ([name, secret]) => item(request, name, newest(secret)))
  })

  app.delete('/secrets/:name', {
    schema: { params: OfSecret },
    config: { operation: 'deleteSecret', action: 'delete' }
  }, async (request) => {
    const { name } = request.params
    const secret = await store.change((secrets) => {
      const known = secrets.get(name)
      if (!known || isDeleted(known)) throw new SecretNotFound(name)
      const secret = { ...known, deleted: now() }
      secrets.set(name, secret)
      return secret
    })
    return deletedItem(request, name, secret, true)
  })

  app.get('/deletedsecrets', {
    schema: { querystring: Paging },
    config: { operation: 'getDeletedSecrets', action: 'readMetadata/action' }
  }, async (request) => {
    const all = [...store.secrets].filter(([, secret]) => isDeleted(secret)).sort(byName)
    return page(request, all, ([name, secret]) => deletedItem(request, name, secret))
  })

  app.get('/deletedsecrets/:name', {
    schema: { params: OfSecret },
    config: { operation: 'getDeletedSecret', action: 'readMetadata/action' }
  }, async (request) => {
    const { name } = request.params
    return deletedItem(request, name, findDeleted(store.secrets, name), true)
  })

  app.post('/deletedsecrets/:name/recover', {
    schema: { params: OfSecret },
    config: { operation: 'recoverDeletedSecret', action: 'recover/action' }
  }, async (request) => {
    const { name } = request.params
    const secret = await store.change((secrets) => {
      const { versions } = findDeleted(secrets, name)
      secrets.set(name, { versions })
      return { versions }
    })
    return described(request, newest(secret))
  })

  app.delete('/deletedsecrets/:name', {
    schema: { params: OfSecret },
    config: { operation: 'purgeDeletedSecret', action: 'purge/action' }
  }, async ({ params: { name } }, reply) => {
    await store.change((secrets) => {
      findDeleted(secrets, name)
      secrets.delete(name)
    })
    return reply.code(204).send()
  })
}

function now () {
  return Math.floor(Date.now() / 1_000)
}

function newest ({ versions }: Secret) {
  return versions.at(-1)!
}

function isDeleted (secret: Secret | undefined) {
  return secret?.deleted !== undefined
}

function byName ([a]: [string, Secret], [b]: [string, Secret]) {
  return a < b ? -1 : 1
}

function find (secrets: ReadonlyMap<string, Secret>, { params }: { params: unknown }): Version {
  const { name, version } = params as { name: string, version?: string }
  const secret = secrets.get(name)
  if (!secret || isDeleted(secret)) throw new SecretNotFound(name)
  const found = version === undefined ? newest(secret) : secret.versions.find(({ id }) => id === version)
  if (!found) throw new SecretNotFound(name)
  return found
}

function findDeleted (secrets: ReadonlyMap<string, Secret>, name: string) {
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

// The answers: a bundle has the value, an item of a list never does

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
  return {
    id: `${base(request)}/secrets/${name}${id === undefined ? '' : `/${id}`}`,
    contentType,
    tags,
    attributes: { enabled, nbf, exp, created, updated, ...recovery }
  }
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
