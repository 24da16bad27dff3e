import { spawnSync } from 'node:child_process'
import { installedK6 } from './binary.ts'
import { binaries } from './config.ts'

// Builds k6 from its source unless it is installed

const MODULE = 'go.k6.io/k6@v1.8.1'

const installed = await installedK6()
if (installed) {
  process.stdout.write(`k6 ${installed.version} is already installed: ${installed.k6}\n`)
} else {
  const env = { ...process.env, GOBIN: binaries }
  const { error, status } = spawnSync('go', ['install', MODULE], { env, stdio: 'inherit' })
  if (error) {
    process.stderr.write(`npm run k6:install: cannot run go (${error.message}); install Go or k6 version 1:
https://grafana.com/docs/k6/latest/set-up/install-k6/
`)
  } else if (status === 0) process.stdout.write(`Installed ${MODULE} in ${binaries}\n`)
  process.exitCode = status ?? 1
}
