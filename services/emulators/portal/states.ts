/** Whether a service can be used now. */
export interface State {
  name: string
  isReady: boolean
}

const TIMEOUT_MS = 2_000

/** Asks each service for its health, by the URL of its check. */
export function readStates (checks: Map<string, string>): Promise<State[]> {
  return Promise.all([...checks].map(async ([name, url]) => ({ name, isReady: await responds(url) })))
}

async function responds (url: string) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}
