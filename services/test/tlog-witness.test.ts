import { randomBytes } from 'node:crypto'
import t from 'tap'
import { signerOf } from '#common/transparency/notes.ts'
import { cosigner, NAME, witness } from '../witness/test/app.ts'
import { ORIGIN, testLog } from '../witness/test/log.ts'
import { buildPrograms, missingGo } from './tlog/programs.ts'

// As .taprc has it, for a run without it: the first build downloads and compiles the modules
t.setTimeout(600_000)

const skip = await missingGo()
if (skip) t.plan(0, skip)
else t.test('Go accepts what the witness answers, and no forged cosignature', checkWitness)

async function checkWitness (t: Parameters<typeof witness>[0]) {
  const log = testLog()
  const { add } = await witness(t, [log.signer])
  const { file, tlog } = await buildPrograms(t)
  const check = async (note: string) =>
    await tlog('cosignature', ORIGIN, log.signer.vkey, await file(note), cosigner.vkey)

  const first = (await add(await log.submission(0, 10))).body
  const second = (await add(await log.submission(10, 777))).body
  t.match(await check(`${await log.note(10)}${first}`), `${NAME} `)
  t.match(await check(`${await log.note(777)}${second}`), `${NAME} `)

  const [, line = ''] = /— \S+ (\S+)/.exec(second) ?? []
  const bytes = Buffer.from(line, 'base64')
  const withByte = (index: number) => {
    const changed = Buffer.from(bytes)
    changed[index]! ^= 1
    return `— ${NAME} ${changed.toString('base64')}\n`
  }
  const forgeries = {
    'the cosignature of another checkpoint': first,
    'another time': withByte(11),
    'another signature': withByte(40),
    'a signature of the log under the name of the witness':
      `${signerOf(NAME, randomBytes(32)).sign(await log.textOf(777))}\n`,
    'no cosignature': ''
  }
  for (const [name, forged] of Object.entries(forgeries)) {
    await t.rejects(check(`${await log.note(777)}${forged}`), name)
  }
}
