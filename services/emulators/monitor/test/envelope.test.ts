import t from 'tap'
import { MalformedItem, milliseconds, readEnvelope, type Item } from '../envelope.ts'
import { dependency, event, exception, message, metric, newId, request, span } from './envelopes.ts'

const item = (envelope: object) => readEnvelope(envelope) as Item

t.test('reads time spans with and without days', async (t) => {
  t.equal(milliseconds('00:00:00.012345'), 12.345)
  t.equal(milliseconds('00:00:00.0031001'), 3.1001)
  t.equal(milliseconds('1.02:03:04.5'), ((26 * 60 + 3) * 60 + 4) * 1_000 + 500)
  t.equal(milliseconds('0.00:00:01.0000000'), 1_000)
  t.equal(milliseconds('0:0:60.000'), 60_000)
  t.equal(milliseconds(span(3_723_004.5)), 3_723_004.5)
})

t.test('reads requests and dependencies with their place in the operation', async (t) => {
  const options = {
    role: 'audit',
    operationId: newId(),
    parentId: newId(16),
    id: newId(16),
    time: 1_764_000_000_123,
    ms: 12.345
  }
  t.match(item(request('POST /audit', { ...options, code: '201', sampleRate: 10 })), {
    kind: 'request',
    ...own(options),
    name: 'POST /audit',
    durationMs: 12.345,
    failed: false,
    resultCode: '201',
    weight: 10,
    attributes: [['url', 'http://audit/audit']]
  })
  t.match(
    item(
      dependency('insert blocks', 'mongodb', 'audit', {
        ...options,
        success: false,
        code: '0',
        properties: { 'db.collection.name': 'blocks' }
      })
    ),
    {
      kind: 'dependency',
      ...own(options),
      type: 'mongodb',
      target: 'audit',
      failed: true,
      resultCode: undefined,
      weight: 1,
      attributes: [
        ['type', 'mongodb'],
        ['target', 'audit'],
        ['db.collection.name', 'blocks']
      ]
    }
  )
})

t.test('reads exceptions, messages and events', async (t) => {
  t.match(item(exception('TypeError', 'at handler')), {
    kind: 'exception',
    name: 'TypeError',
    failed: true,
    severity: 'Error',
    attributes: [
      ['message', 'TypeError'],
      ['stack', 'at handler']
    ]
  })
  t.match(item(message('repeating work')), {
    kind: 'message',
    name: 'repeating work',
    failed: false,
    severity: 'Warning'
  })
  t.match(item(event('key rotated', { properties: { secret: 'patient-host-key' } })), {
    kind: 'event',
    name: 'key rotated',
    attributes: [['secret', 'patient-host-key']]
  })
})

t.test('accepts and drops metrics and unknown types', async (t) => {
  t.equal(readEnvelope(metric('audit.batch.size', 7)), undefined)
  t.equal(readEnvelope(changed(request('GET /'), ['data', 'baseType'], 'AvailabilityData')), undefined)
})

t.test('refuses malformed items with names of properties and no values', async (t) => {
  const secret = 'secret-value'
  const cases: Array<[path: string[], value: unknown, options: RegExp]> = [
    [['time'], secret, /^#\/time must be a date$/],
    [['time'], undefined, /^#\/time is required$/],
    [['iKey'], '', /^#\/iKey /],
    [['sampleRate'], 0, /^#\/sampleRate /],
    [['tags'], secret, /^#\/tags /],
    [['data'], secret, /^#\/data /],
    [['data', 'baseType'], 1, /^#\/data\/baseType /],
    [['data', 'baseData', 'duration'], secret, /^#\/data\/baseData\/duration /],
    [['data', 'baseData', 'id'], undefined, /^#\/data\/baseData\/id is required$/],
    [['data', 'baseData', 'success'], 'true', /^#\/data\/baseData\/success /],
    [['data', 'baseData', 'url'], 'x'.repeat(64 * 1024), /^# must not be larger than 64 KiB$/]
  ]
  for (const [path, value, options] of cases) {
    try {
      readEnvelope(changed(request('GET /'), path, value))
      t.fail(path.join('/'))
    } catch (error) {
      t.ok(error instanceof MalformedItem)
      t.match((error as Error).message, options)
      t.notMatch((error as Error).message, secret)
    }
  }
  for (const content of [null, 5, 'text', [], {}]) t.throws(() => readEnvelope(content), MalformedItem)
})

function own ({ ms, ...place }: { ms: number }) {
  return place
}

function changed (envelope: object, path: string[], value: unknown) {
  const copy = structuredClone(envelope) as Record<string, unknown>
  const holder = path.slice(0, -1).reduce((object, name) => object[name] as Record<string, unknown>, copy)
  holder[path.at(-1)!] = value
  return JSON.parse(JSON.stringify(copy))
}
