import { registerHooks } from 'node:module'

// Loaded before the audit service, takes the log out of it: nothing is hashed, linked or sequenced, so that
// its cost can be measured.

const modules: Record<string, string> = {
  '/common/transparency/commitment.ts': `
    export const NO_PREVIOUS = Buffer.alloc(32)
    export const commitmentOf = () => NO_PREVIOUS
    export const blockHash = () => NO_PREVIOUS`,
  '/audit/log/sequencer.ts': `
    export class Sequencer {
      start () {}
      stored () {}
      async sweep () {}
      async close () {}
    }`
}

registerHooks({
  load (url, context, nextLoad) {
    const path = Object.keys(modules).find((path) => url.endsWith(path))
    return path ? { format: 'module', source: modules[path], shortCircuit: true } : nextLoad(url, context)
  }
})
