import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type Test } from 'tap'
import { Link } from '../link.ts'
import type { LinkFault } from '../schedule.ts'

const fault: LinkFault = {
  kind: 'cut', link: 'patient to audit', half: false, delay: 0, direction: 'both', late: true
}

/** A link to a server that answers in capital letters. */
async function start (t: Test) {
  const received: string[] = []
  const server = createServer((socket) => socket.on('error', () => {}).on('data', (chunk) => {
    received.push(String(chunk))
    server.emit('received')
    socket.write(String(chunk).toUpperCase())
  }))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const link = new Link(`127.0.0.1:${(server.address() as AddressInfo).port}`)
  const [host, port] = (await link.listen()).split(':')
  t.teardown(() => {
    link.close()
    server.close()
  })
  const open = () => connect(Number(port), host).on('error', () => {})
  return { link, server, received, open }
}

async function answerTo (socket: Socket, text: string) {
  socket.write(text)
  const [chunk] = await once(socket, 'data')
  return String(chunk)
}

test('a link that is cut breaks its connections and refuses others', async (t) => {
  const { link, open } = await start(t)
  const socket = open()
  t.equal(await answerTo(socket, 'a'), 'A')
  const end = link.fail(fault)
  await once(socket, 'close')
  await once(open(), 'close')
  end()
  t.equal(await answerTo(open(), 'b'), 'B')
})

test('half of the connections are spared', async (t) => {
  const { link, open } = await start(t)
  const [first, second] = [open(), open()]
  await Promise.all([answerTo(first, 'a'), answerTo(second, 'b')])
  const closed = Promise.race([first, second].map((socket) => once(socket, 'close').then(() => socket)))
  link.fail({ ...fault, half: true })
  t.equal(await answerTo(await closed === first ? second : first, 'c'), 'C')
})

test('what a half-open link holds back arrives late', async (t) => {
  const { link, server, received, open } = await start(t)
  const socket = open()
  await answerTo(socket, 'a')
  const end = link.fail({ ...fault, kind: 'half-open', direction: 'answers' })
  const arrived = once(server, 'received')
  const answer = answerTo(socket, 'b')
  await arrived
  t.same(received, ['a', 'b'], 'the request has arrived')
  end()
  t.equal(await answer, 'B')
})

test('what a half-open link has lost never arrives', async (t) => {
  const { link, server, open } = await start(t)
  const socket = open()
  await answerTo(socket, 'a')
  const end = link.fail({ ...fault, kind: 'half-open', direction: 'answers', late: false })
  const arrived = once(server, 'received')
  socket.on('data', () => t.fail('an answer that was lost arrived')).write('b')
  await arrived
  end()
  await once(socket, 'close')
  t.equal(await answerTo(open(), 'c'), 'C')
})

test('an earlier fault that ends does not end a later one', async (t) => {
  const { link, open } = await start(t)
  const end = link.fail({ ...fault, kind: 'half-open' })
  const endOfLater = link.fail(fault)
  end()
  await once(open(), 'close')
  endOfLater()
  t.equal(await answerTo(open(), 'a'), 'A')
})
