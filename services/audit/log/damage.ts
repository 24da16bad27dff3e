/** The log was changed by something else than the audit service. Nothing is signed until it is repaired. */
export class LogDamaged extends Error {
  override name = 'LogDamaged'
}
