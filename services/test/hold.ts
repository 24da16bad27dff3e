import { Child } from '../emulators/processes/child.ts'

// Preloaded by tests into start.ts: between the messages 'hold' and 'release', no process that has ended is
// started again. It answers each with the same message.

let held: Array<() => void> | undefined
const { start } = Child.prototype

Child.prototype.start = function (this: Child) {
  if (held) held.push(() => start.call(this))
  else start.call(this)
}

process.on('message', (message) => {
  const waiting = held ?? []
  held = message === 'hold' ? waiting : undefined
  if (!held) for (const startAgain of waiting) startAgain()
  process.send!(message)
})
// The listener does not keep the process running
process.channel!.unref()
