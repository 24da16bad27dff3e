import { isLive, patientKey, type Patients, type StoredPatient } from '../repositories/patients.ts'
import type { Versions } from '../repositories/versions.ts'

/** Undoes deletions while the deleted patients are kept, for `graceMs`. */
export class Restore {
  #patients: Patients
  #versions: Versions
  #graceMs: number

  constructor (patients: Patients, versions: Versions, graceMs: number) {
    this.#patients = patients
    this.#versions = versions
    this.#graceMs = graceMs
  }

  /**
   * The patient as it was when it was deleted, as a new version. One that is not deleted is left as it is.
   *
   * @throws {PatientNotFound}
   */
  async restore (id: string, audit: string): Promise<StoredPatient> {
    for (;;) {
      const found = await this.#patients.findAny(id)
      if (!found) return this.#patients.throwMissing(patientKey(id))
      if (isLive(found)) return found
      const { _kept, _deleted } = found
      if (!_kept || _deleted.getTime() + this.#graceMs <= Date.now()) {
        return this.#patients.throwMissing(patientKey(id))
      }
      const patient = { ..._kept, _audit: audit, lastUpdated: new Date() }
      await this.#versions.keep(_kept)
      if (await this.#patients.revive(found, patient)) return patient
    }
  }
}
