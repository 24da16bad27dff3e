import t, { test, type Test } from 'tap'
import { FolderStore } from '../stores/folder.ts'
import { folderOf, nameOf, type LogState, type Store } from '../stores/store.ts'
import { witness } from './app.ts'
import { startAzurite } from './azurite.ts'
import { ORIGIN, testLog } from './log.ts'

t.setTimeout(600_000)

const state = (size: number, more: Partial<LogState> = {}): LogState =>
  ({ origin: ORIGIN, size, root: `root ${size}`, checkpoint: `checkpoint ${size}`, keys: [], ...more })

/** What every store promises; `open` opens the same store again. */
async function checkStore (t: Test, open: () => Store) {
  const [one, other] = [open(), open()]
  t.equal(await one.read(ORIGIN), undefined)
  t.equal(await one.replace(state(1), 'a version'), false)
  t.equal(await one.replace(state(1), undefined), true)
  t.equal(await other.replace(state(2), undefined), false)
  const first = (await other.read(ORIGIN))!
  t.strictSame(first.state, state(1))
  t.equal(await one.replace(state(2), first.version), true)
  t.equal(await other.replace(state(3), first.version), false)
  t.strictSame((await other.read(ORIGIN))!.state, state(2))
  t.equal(await one.read('example.org/other'), undefined)

  for (let size = 2; size < 32; size++) {
    const { version } = (await one.read(ORIGIN))!
    const rivals = Array.from({ length: 8 }, (_, i) => state(size + 1, { root: `rival ${i}` }))
    const done = await Promise.all(rivals.map((rival, i) => [one, other][i % 2]!.replace(rival, version)))
    t.equal(done.filter(Boolean).length, 1, 'one of eight at the same time')
    t.strictSame((await one.read(ORIGIN))!.state, rivals[done.indexOf(true)])
  }

  const kept = await Promise.all([0, 1, 2, 3].map((i) => {
    return [one, other][i % 2]!.keep(state(7, { checkpoint: `rival ${i}` }))
  }))
  t.equal(new Set(kept).size, 1, 'all see the one that is kept')
  t.equal(await other.keep(state(7, { checkpoint: 'later' })), kept[0])
  t.equal(await other.keep(state(8)), 'checkpoint 8')
}

test('a directory', async (t) => {
  const dir = t.testdir()
  await checkStore(t, () => new FolderStore(dir))
})

test('Azure Blob Storage', async (t) => {
  const azurite = await startAzurite(t)
  await checkStore(t, azurite.store)

  const log = testLog()
  const fork = testLog({ signer: log.signer, fork: 5 })
  await t.test('a witness with several replicas', async (t) => {
    await azurite.client.getContainerClient('state').deleteBlob(folderOf(ORIGIN))
    const replicas = [
      await witness(t, [log.signer], { store: azurite.store() }),
      await witness(t, [log.signer], { store: azurite.store() })
    ]
    const bodies = await Promise.all([log, fork].map((one, i) => one.submission(0, 20 + i)))
    const responses = await Promise.all(bodies.map((body, i) => replicas[i]!.add(body)))
    t.strictSame(responses.map(({ statusCode }) => statusCode).toSorted(), [200, 409])
    const winner = responses.findIndex(({ statusCode }) => statusCode === 200)
    const blob = azurite.client.getContainerClient('checkpoints')
      .getBlockBlobClient(`${folderOf(ORIGIN)}/${nameOf(20 + winner)}`)
    t.equal(String(await blob.downloadToBuffer()), await [log, fork][winner]!.note(20 + winner))
  })

  await t.test('a store that does not answer', async (t) => {
    const { add } = await witness(t, [log.signer], { store: azurite.store() })
    azurite.kill('SIGSTOP')
    t.match(await add(await log.submission(0, 20)), { statusCode: 503, headers: { 'retry-after': '1' } })
    azurite.kill('SIGCONT')
  })
})
