import { runService } from '#common/http/run-service.ts'
import { buildApp } from '../../emulators/ingress/app.ts'
import { loadConfig } from '../../emulators/ingress/config.ts'

// The ingress of replicas at the addresses of REPLICAS, which no name server knows

const { REPLICAS = '' } = process.env
const lookup = async () => REPLICAS.split(',')
await runService('ingress', () => loadConfig(process.env), (config) => buildApp(config, { lookup }))
