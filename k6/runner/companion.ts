/** What goes on beside a script, on a system of this machine. */
export interface Companion {
  /** Ends it, and tells what came of it; with a problem the run has failed. */
  stop: () => Promise<{ lines: string[], problems: string[] }>
}
