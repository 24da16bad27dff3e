import { hash, randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SettingsError } from '#common/config.ts'
import { Gateway } from './import/gateway.ts'
import { findInputs, piecesOf, type Input } from './import/inputs.ts'
import { Progress } from './import/progress.ts'
import { resourcesIn, TYPES } from './import/resources.ts'
import { Stage } from './import/stage.ts'
import { storeAll, validateOnly, type Create } from './import/store.ts'
import { summary, writeRefusals } from './import/summary.ts'
import { loadConfig } from './system/config.ts'
import { runningGateway } from './system/gateway.ts'
import { StartError } from './system/state.ts'

const USAGE = `Stores patients and test results through the gateway.

npm run import -- [OPTION…] FILE…

  FILE             NDJSON or JSON, a folder with *.ndjson and *.json, or - for stdin
  --dry-run        validates without storing
  --gateway URL    default: the system that npm start runs
  --key KEY        the subscription key; default: SUBSCRIPTION_KEY, or the one of that system
  --concurrency N  requests at a time (default 8)
  --source NAME    where the ids come from, if the ids of several sources are not unique together
  --refusals FILE  where refused resources go (default: beside the state), to be imported again
  --state DIR      what was imported so far (default: import in LOCAL_DIR)
  --anew           forgets what was imported so far, and stores it again

FILE has resources of FHIR R4 (Patient, DiagnosticReport, Observation, and Bundles of these), or one patient
of the API a line: {"patient": {"id": "17", "lastName": …}, "tests": [{…}, …]}. The id is optional and of the
source; patient and tests are as POST /patient and POST /patient/{id}/tests take them, and a test may have an
id of the source too. Resources may be in any order and in several files.

A report and the observations it names become one test result; other observations one each. An import that was
interrupted goes on when it is run again, and what is stored already is not stored twice. The ids of resources
of FHIR become identifiers: urn:uuid:ID of the system urn:ietf:rfc:3986 if the id is a UUID, otherwise
Type/ID. Resources are kept in the state until they are stored, and refused ones in the file of
refusals; only their owner can read these files.

Exits with 1 if anything was refused.
`

const DEFAULT_CONCURRENCY = '8'
const MAX_CONCURRENCY = 256
const INTERRUPTED = 130
const CHECKED_PATIENTS = 8

process.umask(0o077)
// A reader like `head` may close the pipe early
process.stdout.on('error', () => process.exit(1))

const interruption = new AbortController()
process.on('SIGINT', () => {
  if (interruption.signal.aborted) process.exit(INTERRUPTED)
  interruption.abort()
})

try {
  process.exitCode = await main()
} catch (error) {
  const { code } = error as NodeJS.ErrnoException
  const expected = error instanceof StartError || error instanceof SettingsError ||
    code?.startsWith?.('ERR_PARSE_ARGS')
  // Other errors may quote what is imported
  const text = expected ? (error as Error).message : `failed (${(error as Error).name} ${code ?? ''})`
  process.stderr.write(`npm run import: ${text}\n`)
  process.exitCode = 1
}
// stdin may be open
process.stdin.unref?.()

function readOptions () {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'dry-run': { type: 'boolean', default: false },
      gateway: { type: 'string' },
      key: { type: 'string' },
      concurrency: { type: 'string', default: DEFAULT_CONCURRENCY },
      source: { type: 'string', default: '' },
      refusals: { type: 'string' },
      state: { type: 'string' },
      anew: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  const concurrency = Number(values.concurrency)
  if (!/^\d{1,3}$/.test(values.concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY) {
    throw new StartError(`--concurrency takes a number from 1 to ${MAX_CONCURRENCY}`)
  }
  return { ...values, concurrency, files: positionals }
}

type Options = ReturnType<typeof readOptions>

async function main () {
  const options = readOptions()
  if (options.help || options.files.length === 0) {
    process[options.help ? 'stdout' : 'stderr'].write(USAGE)
    return options.help ? 0 : 1
  }
  const inputs = findInputs(options.files)
  return options['dry-run'] ? dryRun(options, inputs) : store(options, inputs)
}

/** Stages in a directory of its own, so that the state stays as it is. */
async function dryRun (options: Options, inputs: Input[]) {
  const dir = mkdtempSync(join(tmpdir(), 'import-'))
  try {
    return await run(options, inputs, join(dir, 'stage'), validateOnly)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function store (options: Options, inputs: Input[]) {
  const { LOCAL_DIR } = loadConfig(process.env)
  const { url, key } = await findGateway(options, LOCAL_DIR)
  const dir = options.state ?? join(LOCAL_DIR, 'import')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  chmodSync(dir, 0o700)
  const file = join(dir, hash('sha256', JSON.stringify([url, options.source])).slice(0, 16))
  if (options.anew) for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true })
  const gateway = new Gateway(url, key, options.concurrency)
  try {
    const create: Create = (path, body, headers) => gateway.create(path, body, headers)
    return await run(options, inputs, file, create, gateway)
  } finally {
    await gateway.close()
  }
}

/** @throws {StartError} no system runs, or there is no subscription key for the gateway */
async function findGateway (options: Options, localDir: string) {
  const key = options.key || process.env.SUBSCRIPTION_KEY
  if (options.gateway !== undefined) {
    if (!key) throw new StartError('--gateway requires --key or SUBSCRIPTION_KEY')
    return { url: options.gateway, key }
  }
  const running = await runningGateway(localDir)
  if (!running) throw new StartError('no system runs here; run npm start first, or use --gateway')
  return { url: running.url, key: key || running.key }
}

async function run (options: Options, inputs: Input[], file: string, create: Create, gateway?: Gateway) {
  const stage = new Stage(file, options.anew ? randomUUID() : '')
  try {
    if (gateway) await requireSameSystem(stage, gateway)
    const others = await read(inputs, stage)
    const failure = interruption.signal.aborted ? undefined : await storeStaged(options, stage, create)
    process.stdout.write(summary(stage, others, options['dry-run']))
    if (interruption.signal.aborted || failure) {
      process.stderr.write(`npm run import: ${failure?.message ?? 'interrupted'}; run it again to go on\n`)
      return failure ? 1 : INTERRUPTED
    }
    const refusals = options.refusals ?? (gateway ? `${file}.refusals.ndjson` : undefined)
    if (refusals) {
      const { refused, kept } = await writeRefusals(stage, refusals, inputs.flatMap(({ path }) => path ?? []))
      if (refused > 0) process.stdout.write(`\n${refused} refused, see ${refusals}\n`)
      if (kept > 0) process.stdout.write(`\n${kept} refused by earlier imports, still in ${refusals}\n`)
    }
    stage.dropContent()
    return stage.counts().some((count) => count.refused > 0) ? 1 : 0
  } finally {
    stage.close()
  }
}

/**
 * Notes which of the last patients that were imported were merged or deleted since.
 *
 * @throws {StartError} none of several is there, so that the gateway is likely that of another system
 */
async function requireSameSystem (stage: Stage, gateway: Gateway) {
  const patients = stage.lastStored(CHECKED_PATIENTS)
  const ids = await Promise.all(patients.map(({ stored_id: id }) => gateway.findPatient(id!)))
  const deleted = patients.filter((_, i) => ids[i] === undefined)
  if (deleted.length > 1 && deleted.length === patients.length) {
    throw new StartError('the patients that were imported last are not there any more; ' +
      'use --anew to import everything again')
  }
  for (const [i, patient] of patients.entries()) {
    const id = ids[i]
    if (id === undefined) stage.markDeleted(patient)
    else if (id !== patient.stored_id) stage.movePatient(patient, id)
  }
  if (deleted.length === 0) return
  process.stderr.write(`npm run import: ${deleted.length} of the patients that were imported last ` +
    'were deleted since; use --anew to import everything again\n')
}

/** Stages all inputs. Returns how often there are resources of types that are not imported. */
async function read (inputs: Input[], stage: Stage) {
  const sizes = inputs.map(({ bytes }) => bytes)
  const known = sizes.reduce<number>((sum, bytes = 0) => sum + bytes, 0) / 1_024
  const total = sizes.includes(undefined) ? undefined : known
  const progress = new Progress(process.stderr, 'Reading', 'KiB', total)
  const others = new Map<string, number>()
  for (const input of inputs) {
    stage.input = input.path
    for await (const piece of piecesOf(input, (bytes) => progress.add(bytes / 1_024))) {
      if (interruption.signal.aborted) return others
      for (const found of resourcesIn(piece, (type, digest) => stage.newId(type, digest))) {
        if ('message' in found) stage.addUnreadable(found)
        else if ((TYPES as readonly string[]).includes(found.type)) stage.add(found)
        else {
          const type = /^[A-Z][A-Za-z]{1,63}$/.test(found.type) ? found.type : 'another type'
          others.set(type, (others.get(type) ?? 0) + 1)
        }
      }
    }
  }
  stage.commit()
  progress.end()
  return others
}

/** Returns why it ended early, if it did. */
async function storeStaged ({ concurrency, source, 'dry-run': dry }: Options, stage: Stage, create: Create) {
  const progress = new Progress(
    process.stderr, dry ? 'Validating' : 'Storing', 'resources', stage.countWaiting(TYPES))
  const onDone = (count: number) => progress.add(count)
  try {
    await storeAll(stage, { create, source, concurrency, signal: interruption.signal, onDone })
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    return error
  } finally {
    progress.end()
  }
}
