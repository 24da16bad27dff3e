import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { createService } from '../http/create-service.ts'
import { sendRouteNotFound } from '../http/problems.ts'

/** An app as every service has it, with what it logged. */
export async function service (t: Test, register: (app: FastifyInstance) => void | Promise<void>) {
  const lines: string[] = []
  const app = createService('test', { LOG_LEVEL: 'trace' }, { write: (line: string) => { lines.push(line) } })
  app.setNotFoundHandler(sendRouteNotFound)
  await register(app)
  t.teardown(() => app.close())
  await app.ready()
  return { app, logs: () => lines.join('') }
}
