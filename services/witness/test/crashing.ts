import { runService } from '#common/http/run-service.ts'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { FolderStore } from '../stores/folder.ts'
import type { LogState } from '../stores/store.ts'

/** A store that kills its process once it has stored a state of 20 entries. */
class CrashingStore extends FolderStore {
  override async replace (state: LogState, version: string | undefined) {
    const isStored = await super.replace(state, version)
    if (state.size === 20) process.kill(process.pid, 'SIGKILL')
    return isStored
  }
}

await runService('witness', () => loadConfig(process.env), (config) => {
  return buildApp(config, { store: new CrashingStore(config.STORE_DIR!) })
})
