import { globSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'

// Runs after `npm ci`: loads the modules of all services, so that Node.js keeps them compiled in
// NODE_COMPILE_CACHE. It takes 1.2 s, and the first `npm start` takes 2.3 s less.

const services = join(import.meta.dirname, '..')
const pattern = '{patient,audit,auditor,witness,emulators/*}/{app,server,portal}.ts'
const modules = globSync(pattern, { cwd: services })
try {
  for (const module of [...modules, 'cli/openapi/gateway.ts']) await import(join(services, module))
} catch {
  // What is missing is compiled by the first start
}
flushCompileCache()
// Some of the modules wait for events
process.exit()
