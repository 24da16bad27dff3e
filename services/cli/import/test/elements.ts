import { observationBack, patientBack, reportBack, singleBack } from './back.ts'
import { toObservation, toTest } from '../fhir/observation.ts'
import { toPatient } from '../fhir/patient.ts'
import { toReport } from '../fhir/report.ts'
import type { Element } from '../fhir/source.ts'

// How each element of FHIR is imported

interface Kind {
  to: (element: Element, id: string) => object
  back: (model: any) => object
  /** What every resource of the kind has. */
  base: object
}

export const kinds: Record<string, Kind> = {
  Patient: {
    to: toPatient,
    back: patientBack,
    base: { gender: 'female', identifiers: [{ value: 'Patient/1' }] }
  },
  Observation: { to: toObservation, back: observationBack, base: { id: '1' } },
  single: { to: toTest, back: singleBack, base: { identifiers: [{ value: 'Observation/1' }] } },
  DiagnosticReport: {
    to: (element, id) => toReport(element, id, []),
    back: reportBack,
    base: { identifiers: [{ value: 'DiagnosticReport/1' }] }
  }
}

export interface Case {
  kind: keyof typeof kinds
  element: string
  /** JSON, as numbers have their digits. */
  source: string
  expected: string
  /** What is left behind. */
  unread?: Record<string, number>
  /** It cannot be made into what it was, since the model has less. */
  oneWay?: true
}

const unit = '"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"'
const system = '"system":"http://loinc.org","code":"718-7","display":"Haemoglobin"'
const coded = `{"coding":[{${system}}],"text":"Hb"}`
const modelled = `{${system},"text":"Hb"}`

const patient = (element: string, source: string, expected: string, more: Partial<Case> = {}): Case =>
  ({ kind: 'Patient', element, source, expected, ...more })
const observation = (element: string, source: string, expected: string, more: Partial<Case> = {}): Case =>
  ({ kind: 'Observation', element, source, expected, ...more })
const report = (element: string, source: string, expected: string, more: Partial<Case> = {}): Case =>
  ({ kind: 'DiagnosticReport', element, source, expected, ...more })

const name = '"use":"official","family":"Lovelace","given":["Ada"],"prefix":["Dr"]'
const names = '"title":"Dr","firstName":"Ada","lastName":"Lovelace"'

export const cases: Case[] = [
  patient('name.family', '{"name":[{"use":"official","family":"Lovelace"}]}', '{"lastName":"Lovelace"}'),
  patient('name.given', '{"name":[{"use":"official","given":["Ada","Augusta","B"]}]}',
    '{"firstName":"Ada","middleNames":["Augusta","B"]}'),
  patient('name.prefix', `{"name":[{${name}}]}`, `{${names}}`),
  patient('name.prefix, several', '{"name":[{"use":"official","family":"A","prefix":["Prof","Dr"]}]}',
    '{"lastName":"A","title":"Prof Dr"}', { oneWay: true }),
  patient('name.suffix', '{"name":[{"use":"official","family":"A","suffix":["Jr"]}]}', '{"lastName":"A"}',
    { unread: { 'Patient.name.suffix': 1 } }),
  patient('name.text', '{"name":[{"use":"official","text":"Ada Lovelace"}]}', '{"fullName":"Ada Lovelace"}'),
  patient('name.use missing',
    '{"name":[{"family":"Lovelace"}]}',
    '{"lastName":"Lovelace"}',
    { oneWay: true }),
  patient('name.use usual', '{"name":[{"use":"usual","family":"Lovelace"}]}', '{"lastName":"Lovelace"}',
    { unread: { 'Patient.name.use': 1 }, oneWay: true }),
  patient('name, the official one of several',
    '{"name":[{"use":"old","family":"B"},{"use":"official","family":"A"}]}',
    '{"lastName":"A"}', { unread: { 'Patient.name': 1 }, oneWay: true }),
  patient('name.use maiden',
    `{"name":[{${name}},{"use":"maiden","family":"Byron","given":["Ada"],"prefix":["Dr"]}]}`,
    `{${names},"birthName":"Byron"}`),
  patient('name.use maiden, with other parts',
    '{"name":[{"use":"official","family":"A"},{"use":"maiden","family":"B","given":["X"]}]}',
    '{"lastName":"A","birthName":"B"}', { unread: { 'Patient.name.given': 1 } }),
  patient('name.use nickname',
    '{"name":[{"use":"official","family":"A"},{"use":"nickname","given":["Ady"]}]}',
    '{"lastName":"A","preferredName":"Ady"}'),
  patient('name.use usual beside official',
    '{"name":[{"use":"official","family":"A"},{"use":"usual","given":["Ady"]}]}',
    '{"lastName":"A","preferredName":"Ady"}', { unread: { 'Patient.name.use': 1 }, oneWay: true }),
  patient('name.period', '{"name":[{"use":"official","family":"A","period":{"start":"2001"}}]}',
    '{"lastName":"A"}', { unread: { 'Patient.name.period': 1 } }),
  patient('gender', '{"gender":"other"}', '{"gender":"other"}'),
  patient('birthDate', '{"birthDate":"1915-12"}', '{"dateOfBirth":"1915-12"}'),
  patient('birthDate with a time',
    '{"birthDate":"1915-12-10","_birthDate":{"extension":[{"url":"http://x/patient-birthTime",' +
    '"valueDateTime":"1915-12-10T01:02:03Z"}]}}',
    '{"dateOfBirth":"1915-12-10"}', { unread: { 'Patient._birthDate': 1 }, oneWay: true }),
  patient('deceasedBoolean', '{"deceasedBoolean":false}', '{"deceased":false}'),
  patient('deceasedDateTime', '{"deceasedDateTime":"2001-02"}', '{"deceased":"2001-02"}'),
  patient('active', '{"active":true}', '{"active":true}'),
  patient('identifier',
    '{"identifier":[{"system":"urn:oid:1.2","value":"7","type":{"text":"MRN"},"period":{"start":"2001"}}]}',
    '{"identifiers":[{"value":"Patient/1"},{"system":"urn:oid:1.2","value":"7","type":"MRN",' +
    '"period":{"start":"2001"}}]}'),
  patient('identifier.assigner', '{"identifier":[{"value":"7","use":"old","assigner":{"display":"A"}}]}',
    '{"identifiers":[{"value":"Patient/1"},{"value":"7"}]}',
    { unread: { 'Patient.identifier.use': 1, 'Patient.identifier.assigner': 1 }, oneWay: true }),
  patient('telecom', '{"telecom":[{"system":"email","value":"a@example.com","use":"work","rank":1}]}',
    '{"contacts":[{"system":"email","value":"a@example.com","use":"work","preferred":true}]}'),
  patient('telecom.rank', '{"telecom":[{"system":"phone","value":"1","rank":2}]}',
    '{"contacts":[{"system":"phone","value":"1"}]}', { unread: { 'Patient.telecom.rank': 1 } }),
  patient('telecom.system fax', '{"telecom":[{"system":"fax","value":"1"}]}',
    '{"contacts":[{"system":"other","value":"1"}]}',
    { unread: { 'Patient.telecom.system': 1 }, oneWay: true }),
  patient('address',
    '{"address":[{"use":"home","line":["1 A","B"],"city":"C","district":"D","state":"E",' +
    '"postalCode":"F","country":"GB","period":{"end":"2001"}}]}',
    '{"addresses":[{"lines":["1 A","B"],"city":"C","district":"D","state":"E","postCode":"F",' +
    '"country":"GB","period":{"end":"2001"},"use":"home"}]}'),
  patient('address.country, three letters',
    '{"address":[{"country":"USA"}]}',
    '{"addresses":[{"country":"US"}]}',
    { oneWay: true }),
  patient('address.country, a name',
    '{"address":[{"country":"Österreich"}]}',
    '{"addresses":[{"country":"AT"}]}',
    { oneWay: true }),
  patient('address.country, unknown',
    '{"address":[{"city":"C","country":"Congo"}]}',
    '{"addresses":[{"city":"C"}]}',
    { unread: { 'Patient.address.country': 1 } }),
  patient('address.text', '{"address":[{"text":"1 A\\nB"}]}', '{"addresses":[{"lines":["1 A","B"]}]}',
    { oneWay: true }),
  patient('address.text beside parts', '{"address":[{"line":["1 A"],"text":"1 A","type":"both"}]}',
    '{"addresses":[{"lines":["1 A"]}]}',
    { unread: { 'Patient.address.text': 1, 'Patient.address.type': 1 } }),
  patient('maritalStatus',
    '{"maritalStatus":{"coding":[{"system":"s","code":"M","display":"Married"},{"system":"t",' +
    '"code":"2"}],"text":"M"}}',
    '{"maritalStatus":{"system":"s","code":"M","display":"Married","text":"M",' +
    '"translations":[{"system":"t","code":"2"}]}}'),
  patient('communication',
    '{"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"de-AT"}]}}]}',
    '{"language":"de-AT"}'),
  patient('communication.preferred',
    '{"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"de"}]}},' +
    '{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"fr"}]},"preferred":true}]}',
    '{"language":"fr"}', { unread: { 'Patient.communication': 1 }, oneWay: true }),
  patient('communication without a tag', '{"communication":[{"language":{"text":"Welsh"}}]}', '{}',
    { unread: { 'Patient.communication': 1 }, oneWay: true }),
  patient('extension',
    '{"extension":[{"url":"http://x/us-core-race","valueString":"x"},{"url":"http://x/us-core-race",' +
    '"valueString":"y"}]}',
    '{}', { unread: { 'Patient.extension(us-core-race)': 2 } }),
  patient('photo', '{"photo":[{"contentType":"image/png","data":"AA=="}]}', '{}',
    { unread: { 'Patient.photo': 1 }, oneWay: true }),
  patient('multipleBirth, link, generalPractitioner, contact, managingOrganization',
    '{"multipleBirthInteger":2,"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}],' +
    '"generalPractitioner":[{"reference":"Practitioner/1"}],"contact":[{"name":{"text":"A"}}],' +
    '"managingOrganization":{"display":"B"}}',
    '{}', {
      unread: {
        'Patient.multipleBirthInteger': 1,
        'Patient.link': 1,
        'Patient.generalPractitioner': 1,
        'Patient.contact': 1,
        'Patient.managingOrganization': 1
      },
      oneWay: true
    }),
  patient('meta and text', '{"meta":{"versionId":"1"},"text":{"status":"generated","div":"<div/>"}}', '{}',
    { unread: { 'Patient.meta': 1, 'Patient.text': 1 }, oneWay: true }),
  patient('an element of another type', '{"active":"yes"}', '{}', { unread: { 'Patient.active': 1 } }),

  observation('status', '{"status":"final"}', '{"status":"final"}'),
  observation('category', `{"category":[${coded}]}`, `{"category":${modelled}}`),
  observation('category, several', '{"category":[{"text":"A"},{"text":"B"}]}', '{"category":"A"}',
    { unread: { 'Observation.category': 1 }, oneWay: true }),
  observation('code', `{"code":${coded}}`, `{"code":${modelled}}`),
  observation('code.text', '{"code":{"text":"Hb"}}', '{"code":"Hb"}'),
  observation('code.coding, several', `{"code":{"coding":[{${system}},{"system":"s","code":"c"}]}}`,
    `{"code":{${system},"translations":[{"system":"s","code":"c"}]}}`),
  observation('code.coding.version', '{"code":{"coding":[{"code":"c","version":"2","userSelected":true}]}}',
    '{"code":{"code":"c"}}',
    { unread: { 'Observation.code.coding.version': 1, 'Observation.code.coding.userSelected': 1 } }),
  observation('effectiveDateTime', '{"effectiveDateTime":"2026-01"}', '{"effective":"2026-01"}'),
  observation('effectiveInstant', '{"effectiveInstant":"2026-01-01T00:00:00.000Z"}',
    '{"effective":"2026-01-01T00:00:00.000Z"}', { oneWay: true }),
  observation('effectivePeriod',
    '{"effectivePeriod":{"start":"2026-01","end":"2026-02"}}',
    '{"effective":"2026-01"}',
    { unread: { 'Observation.effectivePeriod.end': 1 }, oneWay: true }),
  observation('issued',
    '{"issued":"2026-01-01T01:02:03.004+01:00"}',
    '{"issued":"2026-01-01T01:02:03.004+01:00"}'),
  observation('encounter', '{"encounter":{"reference":"Encounter/1"}}', '{"encounter":"Encounter/1"}'),
  observation('encounter.display', '{"encounter":{"reference":"Encounter/1","display":"A"}}',
    '{"encounter":"Encounter/1"}', { unread: { 'Observation.encounter.display': 1 } }),
  observation('performer', '{"performer":[{"display":"Laboratory 4"}]}', '{"performer":"Laboratory 4"}'),
  observation('performer, several', '{"performer":[{"display":"A"},{"reference":"Practitioner/1"}]}',
    '{"performer":"A; Practitioner/1"}', { oneWay: true }),
  observation('performer, contained',
    '{"contained":[{"resourceType":"Practitioner","id":"p","name":[{"prefix":["Dr"],"given":["A"],' +
    '"family":"B"}],"gender":"male"}],"performer":[{"reference":"#p"}]}',
    '{"performer":"Dr A B"}', { unread: { 'Observation.contained(Practitioner).gender': 1 }, oneWay: true }),
  observation('specimen', '{"specimen":{"display":"Blood"}}', '{"specimen":"Blood"}'),
  observation('specimen, contained',
    `{"contained":[{"resourceType":"Specimen","id":"s","type":${coded}}],"specimen":{"reference":"#s"}}`,
    `{"specimen":${modelled}}`, { oneWay: true }),
  observation('method', `{"method":${coded}}`, `{"method":${modelled}}`),
  observation('bodySite', `{"bodySite":${coded}}`, `{"bodySite":${modelled}}`),
  observation('valueQuantity', `{"valueQuantity":{"value":7.20,"comparator":"<",${unit}}}`,
    `{"value":{"number":7.20,${unit},"comparator":"<"}}`),
  observation('valueQuantity, digits', '{"valueQuantity":{"value":1.2300000000000000000005E-5}}',
    '{"value":{"number":1.2300000000000000000005E-5}}'),
  observation('valueQuantity without a value', '{"valueQuantity":{"unit":"g"}}', '{}',
    { unread: { 'Observation.valueQuantity': 1 }, oneWay: true }),
  observation('valueInteger', '{"valueInteger":7}', '{"value":{"number":7}}', { oneWay: true }),
  observation('valueCodeableConcept', `{"valueCodeableConcept":${coded}}`, `{"value":{"coded":${modelled}}}`),
  observation('valueString', '{"valueString":"negative"}', '{"value":{"text":"negative"}}'),
  observation('valueBoolean', '{"valueBoolean":false}', '{"value":{"boolean":false}}'),
  observation('valueRange', '{"valueRange":{"low":{"value":1.0},"high":{"value":2,"unit":"g"}}}',
    '{"value":{"range":{"low":{"number":1.0},"high":{"number":2,"unit":"g"}}}}'),
  observation('valueRatio', '{"valueRatio":{"numerator":{"value":1},"denominator":{"value":128}}}',
    '{"value":{"ratio":{"numerator":{"number":1},"denominator":{"number":128}}}}'),
  observation('valueTime', '{"valueTime":"10:20:30"}', '{"value":{"time":"10:20:30"}}'),
  observation('valueDateTime', '{"valueDateTime":"2026-01-02"}', '{"value":{"time":"2026-01-02"}}'),
  observation('valuePeriod', '{"valuePeriod":{"start":"2026-01","end":"2026-02"}}',
    '{"value":{"period":{"start":"2026-01","end":"2026-02"}}}'),
  observation('valueSampledData', '{"valueSampledData":{"dimensions":1,"data":"1 2"}}', '{}',
    { unread: { 'Observation.valueSampledData': 1 }, oneWay: true }),
  observation('dataAbsentReason', `{"dataAbsentReason":${coded}}`, `{"absentReason":${modelled}}`),
  observation('interpretation', '{"interpretation":[{"coding":[{"system":"s","code":"L"}]}]}',
    '{"interpretation":{"system":"s","code":"L"}}'),
  observation('referenceRange',
    `{"referenceRange":[{"low":{"value":12.0,${unit}},"high":{"value":16},"type":{"text":"normal"},` +
    '"appliesTo":[{"text":"women"}],"text":"12 to 16"}]}',
    `{"referenceRange":[{"low":{"number":12.0,${unit}},"high":{"number":16},"text":"12 to 16",` +
    '"type":"normal","appliesTo":["women"]}]}'),
  observation('referenceRange.age', '{"referenceRange":[{"text":"x","age":{"low":{"value":18}}}]}',
    '{"referenceRange":[{"text":"x"}]}', { unread: { 'Observation.referenceRange.age': 1 }, oneWay: true }),
  observation('note', '{"note":[{"text":"A"},{"text":"B"}]}', '{"note":"A\\n\\nB"}'),
  observation('note.author', '{"note":[{"text":"A","authorString":"B","time":"2026"}]}', '{"note":"A"}',
    { unread: { 'Observation.note.authorString': 1, 'Observation.note.time': 1 } }),
  observation('component',
    `{"component":[{"code":${coded},"valueQuantity":{"value":1.10},"interpretation":[{"text":"low"}],` +
    '"referenceRange":[{"text":"x"}]},{"code":{"text":"B"},"dataAbsentReason":{"text":"none"}}]}',
    `{"components":[{"code":${modelled},"value":{"number":1.10},"interpretation":"low",` +
    '"referenceRange":[{"text":"x"}]},{"code":"B","absentReason":"none"}]}'),
  observation('device, focus, derivedFrom',
    '{"device":{"display":"A"},"focus":[{"reference":"x"}],"derivedFrom":[{"reference":"y"}]}',
    '{}', {
      unread: { 'Observation.device': 1, 'Observation.focus': 1, 'Observation.derivedFrom': 1 }, oneWay: true
    }),
  {
    kind: 'single',
    element: 'status, effective, basedOn and identifier of an observation without a report',
    source:
      '{"status":"final","effectiveDateTime":"2026","code":{"text":"Hb"},' +
      '"basedOn":[{"reference":"ServiceRequest/1"}],"identifier":[{"value":"7"}]}',
    expected:
      '{"identifiers":[{"value":"Observation/1"},{"value":"7"}],"orderReference":"ServiceRequest/1",' +
      '"title":"Hb","status":"final","effective":"2026","observations":[{"id":"1","status":"final",' +
      '"code":"Hb","effective":"2026"}]}'
  },

  report('identifier', '{"identifier":[{"system":"s","value":"7"}]}',
    '{"identifiers":[{"value":"DiagnosticReport/1"},{"system":"s","value":"7"}]}'),
  report('basedOn',
    '{"basedOn":[{"reference":"ServiceRequest/1"}]}',
    '{"orderReference":"ServiceRequest/1"}'),
  report('basedOn.identifier', '{"basedOn":[{"identifier":{"value":"A-17"}}]}', '{"orderReference":"A-17"}',
    { oneWay: true }),
  report('status', '{"status":"partial"}', '{"status":"partial"}'),
  report('category', `{"category":[${coded}]}`, `{"category":${modelled}}`),
  report('code', `{"code":${coded}}`, `{"code":${modelled},"title":"Hb"}`),
  report('effectiveDateTime',
    '{"effectiveDateTime":"2026-01-02T03:04:05Z"}',
    '{"effective":"2026-01-02T03:04:05Z"}'),
  report('issued', '{"issued":"2026-01-02T03:04:05.678Z"}', '{"issued":"2026-01-02T03:04:05.678Z"}'),
  report('encounter', '{"encounter":{"reference":"Encounter/1"}}', '{"encounter":"Encounter/1"}'),
  report('performer', '{"performer":[{"display":"Laboratory 4"}]}', '{"performer":"Laboratory 4"}'),
  report('specimen', '{"specimen":[{"display":"Blood"}]}', '{"specimen":"Blood"}'),
  report('specimen, several',
    '{"specimen":[{"display":"Blood"},{"display":"Urine"}]}',
    '{"specimen":"Blood"}',
    { unread: { 'DiagnosticReport.specimen': 1 }, oneWay: true }),
  report('conclusion', '{"conclusion":"Normal"}', '{"conclusion":"Normal"}'),
  report('presentedForm, plain text',
    '{"presentedForm":[{"contentType":"text/plain; charset=utf-8","data":"TsO8Cg=="}]}',
    '{"conclusion":"Nü\\n"}', { oneWay: true }),
  report('presentedForm', '{"presentedForm":[{"contentType":"application/pdf","data":"AA=="}]}', '{}',
    { unread: { 'DiagnosticReport.presentedForm': 1 }, oneWay: true }),
  report('conclusionCode, media, resultsInterpreter',
    '{"conclusionCode":[{"text":"A"}],"media":[{"link":{"reference":"x"}}],' +
    '"resultsInterpreter":[{"display":"B"}]}',
    '{}', {
      unread: {
        'DiagnosticReport.conclusionCode': 1,
        'DiagnosticReport.media': 1,
        'DiagnosticReport.resultsInterpreter': 1
      },
      oneWay: true
    })
]
