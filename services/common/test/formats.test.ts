import { test } from 'tap'
import { isUuid, stringFormats } from '../http/formats.ts'

const isDate = stringFormats['partial-date']!.validate as (text: string) => boolean
const isDateTime = stringFormats['date-time']!.validate as (text: string) => boolean

test('a partial date is a year, a month or a day that exists', async (t) => {
  for (const date of ['1980', '1980-01', '1980-12', '1980-02-29', '2000-02-29', '2024-02-29', '1980-12-31']) {
    t.ok(isDate(date), date)
  }
  for (const date of [
    '',
    '0000',
    '198',
    '19800',
    '1980-',
    '1980-00',
    '1980-13',
    '1980-1',
    '1980-02-30',
    '1900-02-29',
    '2023-02-29',
    '1980-04-31',
    '1980-01-00',
    '1980-01-1',
    ' 1980',
    '1980-01-01T00:00:00Z',
    '١٩٨٠'
  ]) { t.notOk(isDate(date), date) }
})

test('a UUID is read in any case, and in no other form', async (t) => {
  t.ok(isUuid('0e37df36-f698-11e6-8dd4-CB9CED3DF976'))
  for (const id of [
    'urn:uuid:0e37df36-f698-11e6-8dd4-cb9ced3df976',
    '{0e37df36-f698-11e6-8dd4-cb9ced3df976}',
    '0e37df36f69811e68dd4cb9ced3df976',
    ''
  ]) { t.notOk(isUuid(id), id) }
})

test('a date and time has a time zone', async (t) => {
  t.ok(isDateTime('2024-02-29T23:59:59.123+01:00'))
  for (const time of [
    '2024-02-29T23:59:59',
    '2023-02-29T00:00:00Z',
    '2024-02-29',
    '2024-02-29 00:00:00Z',
    '2024-02-29T00:00:00+01',
    '2024-02-29T00:00:00+0100'
  ]) { t.notOk(isDateTime(time), time) }
})
