/** Something that runs beside a script, on a system of this machine. */
export interface Companion {
  /** Ends it and returns what to print; any problem fails the run. */
  stop: () => Promise<{ lines: string[], problems: string[] }>
}
