import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { installedK6 } from './binary.ts'
import { binaries } from './config.ts'

// Builds k6 from its source unless it is installed

const MODULE = 'go.k6.io/k6@v1.8.1'
const NO_GO = `npm run k6:install: Go is not installed. Install Go, or put any k6 of version 1 on the PATH:
https://grafana.com/docs/k6/latest/set-up/install-k6/
`

const installed = await installedK6()
if (installed) process.stdout.write(`k6 ${installed.version} is already installed: ${installed.k6}\n`)
else process.exitCode = await install()

async function install () {
  const go = spawn('go', ['install', MODULE], { env: { ...process.env, GOBIN: binaries }, stdio: 'inherit' })
  try {
    const [code] = await once(go, 'close') as [number | null]
    if (code === 0) process.stdout.write(`Installed ${MODULE} in ${binaries}\n`)
    return code ?? 1
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    process.stderr.write(code === 'ENOENT' ? NO_GO : `npm run k6:install: cannot run go (${code})\n`)
    return 1
  }
}
