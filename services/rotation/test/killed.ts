// Loaded into the command by `node --import`: kills it at the vault's answer number KILLED_AT about a secret
import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest, IncomingMessage } from 'node:http'

let left = Number(process.env.KILLED_AT)

subscribe('http.client.response.finish', (message) => {
  const { request, response } = message as { request: ClientRequest, response: IncomingMessage }
  // The first request of all has no token, and learns from a 401 where there are some
  if (!request.path.startsWith('/secrets/') || response.statusCode === 401) return
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
})
