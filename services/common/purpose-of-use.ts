/**
 * The codes of the value set PurposeOfUse of HL7 v3 (http://terminology.hl7.org/ValueSet/v3-PurposeOfUse), as
 * FHIR R4 has it, without the abstract code PurposeOfUse. Each line is one branch of the hierarchy.
 */
export const purposesOfUse = [
  'HMARKT',
  'HOPERAT', 'CAREMGT', 'DONAT', 'FRAUD', 'GOV', 'HACCRED', 'HCOMPL', 'HDECD', 'HDIRECT', 'HDM', 'HLEGAL',
  'HOUTCOMS', 'HPRGRP', 'HQUALIMP', 'HSYSADMIN', 'LABELING', 'METAMGT', 'MEMADMIN', 'MILCDM', 'PATADMIN',
  'PATSFTY', 'PERFMSR', 'RECORDMGT', 'SYSDEV', 'HTEST', 'TRAIN',
  'HPAYMT', 'CLMATTCH', 'COVAUTH', 'COVERAGE', 'ELIGDTRM', 'ELIGVER', 'ENROLLM', 'MILDCRG', 'REMITADV',
  'HRESCH', 'BIORCH', 'CLINTRCH', 'CLINTRCHNPC', 'CLINTRCHPC', 'PRECLINTRCH', 'DSRCH', 'POARCH', 'TRANSRCH',
  'PATRQT', 'FAMRQT', 'PWATRNY', 'SUPNWK',
  'PUBHLTH', 'DISASTER', 'THREAT',
  'TREAT', 'CLINTRL', 'COC', 'ETREAT', 'BTG', 'ERTREAT', 'POPHLTH'
] as const
export type PurposeOfUse = typeof purposesOfUse[number]

/** Emergency treatment and break the glass: the access bypasses the usual rules, so it needs a reason. */
const needReason: readonly PurposeOfUse[] = ['ETREAT', 'BTG']

/** What is wrong with a purpose and its reason together; undefined if nothing is. */
export function purposeViolation ({ purpose, reason }: { purpose?: PurposeOfUse, reason?: string }) {
  if (reason !== undefined && purpose === undefined) return 'reason without purpose'
  if (reason === undefined && purpose !== undefined && needReason.includes(purpose)) return 'no reason'
  return undefined
}
