import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { BIN, installedK6 } from './binary.ts'

// Brings k6 where there is none, built from its source

const MODULE = 'go.k6.io/k6@v1.8.1'

const installed = await installedK6()
if (installed) {
  process.stdout.write(`k6 ${installed.version} is there: ${installed.k6}\n`)
} else {
  process.exitCode = await install()
}

async function install () {
  const go = spawn('go', ['install', MODULE], { env: { ...process.env, GOBIN: BIN }, stdio: 'inherit' })
  try {
    const [code] = await once(go, 'close') as [number | null]
    if (code === 0) process.stdout.write(`${MODULE} is in ${BIN}\n`)
    return code ?? 1
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    process.stderr.write(code === 'ENOENT'
      ? 'npm run k6:install: there is no go here to build k6 with; any k6 of version 1 on the path will do: https://grafana.com/docs/k6/latest/set-up/install-k6/\n'
      : `npm run k6:install: go cannot be run (${code})\n`)
    return 1
  }
}
