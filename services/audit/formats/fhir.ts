export function bundleOf (records: object[], patientId?: string) {
  return { resourceType: 'Bundle', patientId, entry: records }
}
