/** Stands for async-hook-domain, whose errors then end the process. */
export class Domain {
  destroy () {}
}
