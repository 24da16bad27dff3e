import { registerHooks } from 'node:module'
import type { Test } from 'tap'

// Lets several test files run in one process: in each of them, `import t from 'tap'` is a test of its own,
// which batch.ts makes. Loaded by --import, before tap is.

const TAP = '?tap'
const tests = new Map<string, Test>()

/** Has the file at `url` use `test` in the place of tap's root. */
export function useTest (url: string, test: Test) {
  tests.set(url, test)
}

/** The test in whose place the file at `url` runs. */
export function testOf (url: string) {
  return tests.get(url)!
}

const moduleOf = (url: string) => `
  import { testOf } from ${JSON.stringify(import.meta.url)}
  const t = testOf(${JSON.stringify(url)})
  export default t
  export const test = t.test.bind(t)`

registerHooks({
  resolve (specifier, context, next) {
    if (specifier === 'tap' && tests.has(context.parentURL ?? '')) {
      return { url: context.parentURL + TAP, shortCircuit: true }
    }
    // What it does is a fifth of the CPU time of all tests: it follows every promise, to find the test of an
    // error that none catches. Without it, such an error ends the process, which fails the run too.
    if (specifier === 'async-hook-domain') return next(import.meta.resolve('./no-domain.ts'), context)
    return next(specifier, context)
  },
  load (url, context, next) {
    if (!url.endsWith(TAP)) return next(url, context)
    return { format: 'module', source: moduleOf(url.slice(0, -TAP.length)), shortCircuit: true }
  }
})
