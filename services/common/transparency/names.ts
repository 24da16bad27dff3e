/** The name of the log of the audit register: the origin of its checkpoints and the name of its keys. */
export const LOG_ORIGIN = 'audited-patient-api/register'

/** The name of the keys of the witness of this project. */
export const WITNESS_NAME = 'audited-patient-api/witness'
