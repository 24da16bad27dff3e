import { html, type Html } from '#common/pages/html.ts'

type Attributes = Record<string, string | number | boolean | undefined>

interface Notes {
  /** What is expected. */
  hint?: string
  /** What is wrong with the value. */
  problem?: string | undefined
}

/** A field with its label; attributes that are false or undefined are left out, true ones have no value. */
export function field (
  name: string, label: string, value: string | number = '', more: Attributes & Notes = {}
) {
  const { hint, problem, ...attributes } = more
  const all: Attributes = { autocomplete: 'off', spellcheck: 'false', maxlength: 256, ...attributes }
  const invalid = problem !== undefined && { 'aria-invalid': 'true', 'aria-describedby': `${name}-problem` }
  return html`<label for="${name}">${label}${hint && html`\n<span class="hint">${hint}</span>`}
<input id="${name}" name="${name}" value="${value}"${attributesOf({ ...all, ...invalid })}>
${problem !== undefined && html`<span class="problem" id="${name}-problem" role="alert">${problem}</span>`}
</label>\n`
}

/** A date and time in UTC. */
export function dateField (
  name: string, label: string, value: string, more: { required?: boolean, problem?: string | undefined } = {}
) {
  return field(name, `${label}, UTC`, value, { type: 'datetime-local', maxlength: undefined, ...more })
}

/** A choice of `options`, names by value; `any` adds one without a value. */
export function choice (
  name: string, label: string, options: Record<string, string>, value: string | undefined, any = true
) {
  const all = any ? { '': 'any', ...options } : options
  return html`<label for="${name}">${label}
<select id="${name}" name="${name}">${Object.entries(all).map(([code, text]) => {
    return html`<option value="${code}"${code === (value ?? '') && html` selected`}>${text}</option>`
  })}</select></label>\n`
}

/** A field that suggests values, and takes any. */
export function suggestion (
  name: string, label: string, values: readonly string[], value: string | undefined, notes: Notes = {}
) {
  const options = values.map((one) => html`<option value="${one}"></option>`)
  return html`${field(name, label, value, { list: `${name}-list`, ...notes })}
<datalist id="${name}-list">${options}</datalist>`
}

/** A form of one line for the id of a patient. */
export function idForm (
  form: { action: string, method: 'get' | 'post', id: string, label: string, hint?: string, button: Html }
) {
  const { action, method, id, label, hint, button } = form
  return html`<form class="open" action="${action}" method="${method}"><label for="${id}">${label}
${hint && html`<span class="hint">${hint}</span>`}</label>
<div class="row"><input id="${id}" name="id" required maxlength="64" autocomplete="off" autocapitalize="none"
 spellcheck="false">${button}</div></form>`
}

/** Names by themselves, for a choice of codes. */
export function sameNames (codes: readonly string[]) {
  return Object.fromEntries(codes.map((code) => [code, code]))
}

function attributesOf (attributes: Attributes) {
  return Object.entries(attributes).map(([name, value]) => {
    if (value === undefined || value === false) return undefined
    return value === true ? html` ${name}` : html` ${name}="${value}"`
  })
}
