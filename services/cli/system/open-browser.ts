import { spawn } from 'node:child_process'

const COMMANDS: Partial<Record<NodeJS.Platform, string[]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', '""']
}

/** Opens a page in the browser of this machine; `onFailure` is called if none can be opened. */
export function openBrowser (url: string, onFailure: () => void) {
  const [command, ...args] = [...COMMANDS[process.platform] ?? ['xdg-open'], url]
  const opener = spawn(command!, args, { stdio: 'ignore', detached: true })
  opener.once('error', onFailure)
  opener.once('exit', (code) => { if (code !== 0) onFailure() })
  opener.unref()
}
