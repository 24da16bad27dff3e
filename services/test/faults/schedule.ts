import { Random } from './random.ts'

/** The processes of the system, each of which can be killed or stopped. */
export const PROCESSES = [
  'gateway', 'patient ingress', 'patient 1', 'patient 2', 'patient 3', 'audit ingress', 'audit 1', 'audit 2',
  'patient database', 'audit database', 'vault'
] as const
export type ProcessName = typeof PROCESSES[number]

/** The links between them that pass a proxy. */
export const LINKS = [
  'gateway to patient', 'patient to audit', 'patient to its database', 'audit to its database'
] as const
export type LinkName = typeof LINKS[number]

/** Services with several replicas. */
export const SERVICES = ['patient', 'audit'] as const
export type ServiceName = typeof SERVICES[number]

export const DISKS = ['patient database', 'audit database'] as const
export type DiskName = typeof DISKS[number]

/** What can be rotated without telling clients. */
const SECRETS = [
  'patient-host-key', 'audit-host-key', 'patient-data-key', 'patient-db-connection', 'audit-db-connection'
]

/** A disturbance of a link: of all connections or half of them, in both directions or one. */
export interface LinkFault {
  kind: 'cut' | 'slow' | 'half-open'
  link: LinkName
  /** What becomes of connections: half of them are spared. */
  half: boolean
  /** With `slow`, how long each chunk takes, in ms. */
  delay: number
  /** With `half-open`, what is held back. */
  direction: 'both' | 'requests' | 'answers'
  /** With `half-open`, whether what was held back arrives in the end. Otherwise the connections break. */
  late: boolean
}

export type Fault = { at: number, ms: number } & (
  | { kind: 'kill' | 'stop', process: ProcessName }
  | LinkFault
  | { kind: 'disk full', disk: DiskName }
  | { kind: 'clock', process: ProcessName, seconds: number }
  | { kind: 'rotate', secrets: string[] }
  | { kind: typeof TARGETED[number], service: ServiceName }
)

/**
 * Faults that show whether one promise holds, which those drawn at random meet too rarely.
 * - `kill all`: every replica of a service is killed, so that others have to finish what they began.
 * - `lost store`: a database gets nothing any more, and then the replicas that sent it are killed: what they
 *   acknowledged meanwhile is lost.
 * - `fence`: the chains of the register are ended, as by a replica that takes the others for stopped.
 */
const TARGETED = ['kill all', 'lost store', 'fence'] as const
/** One of so many faults is of these, in turn. */
const TARGETED_EVERY = 4

const WEIGHTS = {
  kill: 30, stop: 20, cut: 12, slow: 8, 'half-open': 14, 'disk full': 6, clock: 10, rotate: 4
}

/** The processes whose clock may be changed in the run of a seed: few of them, and often none. */
export function steppedClocks (seed: number): ProcessName[] {
  const random = new Random(seed ^ 0xc10c)
  if (random.chance(0.5)) return []
  const first = random.pick(PROCESSES)
  const second = random.pick(PROCESSES)
  return first === second ? [first] : [first, second]
}

/**
 * The faults of a run of `seconds`, in the order of their starts. A longer run of the same seed begins with
 * the same ones.
 */
export function drawSchedule (seed: number, seconds: number): Fault[] {
  const random = new Random(seed)
  const clocks = steppedClocks(seed)
  const weights = { ...WEIGHTS, clock: clocks.length > 0 ? WEIGHTS.clock : 0 }
  const faults: Fault[] = []
  for (let at = random.between(500, 2_000); at < (seconds - 2) * 1_000;) {
    const turn = faults.length / TARGETED_EVERY
    faults.push(Number.isInteger(turn)
      ? drawTargeted(random, turn, at)
      : drawFault(random, weights, clocks, at))
    at += drawPause(random)
  }
  return faults
}

/** Often one fault meets the other, and now and then the system has time to recover. */
function drawPause (random: Random) {
  if (random.chance(0.35)) return random.between(20, 400)
  return random.chance(0.25) ? random.between(3_000, 6_000) : random.between(400, 2_500)
}

function drawTargeted (random: Random, turn: number, at: number): Fault {
  const kind = TARGETED[turn % TARGETED.length]!
  const service = kind === 'kill all' ? random.pick(SERVICES) : 'audit'
  return { at, ms: random.between(300, 1_500), kind, service }
}

function drawFault (random: Random, weights: typeof WEIGHTS, clocks: ProcessName[], at: number): Fault {
  const kind = random.weighted(weights)
  const ms = random.between(100, random.chance(0.3) ? 8_000 : 2_000)
  switch (kind) {
    case 'kill':
    case 'stop':
      return { at, ms, kind, process: random.pick(PROCESSES) }
    case 'disk full':
      return { at, ms, kind, disk: random.pick(DISKS) }
    case 'clock':
      return { at, ms, kind, process: random.pick(clocks), seconds: drawStep(random) }
    case 'rotate':
      return { at, ms, kind, secrets: [random.pick(SECRETS)] }
    default:
      return {
        at,
        ms,
        kind,
        link: random.pick(LINKS),
        half: random.chance(0.4),
        delay: random.between(5, random.chance(0.3) ? 3_000 : 300),
        direction: random.pick(['both', 'requests', 'answers']),
        late: random.chance(0.5)
      }
  }
}

/** Minutes or hours, forward or back. Two clocks differ by less than a day, the life of idempotency keys. */
function drawStep (random: Random) {
  const minutes = random.chance(0.5) ? random.between(1, 30) : 60 * random.between(1, 12)
  return (random.chance(0.5) ? 60 : -60) * minutes
}

/** A fault as a line for people, with the time at which it begins. */
export function describeFault (fault: Fault) {
  return `${(fault.at / 1_000).toFixed(2).padStart(7)} s  ${what(fault)}`
}

function what (fault: Fault) {
  const duration = `for ${fault.ms} ms`
  switch (fault.kind) {
    case 'kill': return `SIGKILL to ${fault.process}`
    case 'stop': return `SIGSTOP to ${fault.process}, SIGCONT ${duration.replace('for', 'after')}`
    case 'disk full': return `disk of ${fault.disk} full ${duration}`
    case 'clock': return `clock of ${fault.process} set to ${fault.seconds > 0 ? '+' : ''}${fault.seconds} s`
    case 'kill all': return `SIGKILL to all replicas of ${fault.service}`
    case 'lost store':
      return `${fault.service} to its database: requests held back ${duration}, then SIGKILL to all replicas`
    case 'fence': return 'all chains ended'
    case 'rotate': return `rotation of ${fault.secrets.join(', ')}`
  }
  const { kind, link, half, delay, direction, late } = fault
  const share = half ? 'half of the connections' : 'all connections'
  if (kind === 'slow') return `${link}: ${share} slowed by ${delay} ms ${duration}`
  if (kind === 'cut') return `${link}: ${share} cut ${duration}`
  const held = direction === 'both' ? 'everything' : direction
  return `${link}: ${held} on ${share} held back ${duration}, then ${late ? 'delivered' : 'lost'}`
}
