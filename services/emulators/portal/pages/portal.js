/* global document, fetch, navigator, sessionStorage, location, URL, FormData */
// Sends the operations that forms describe, and copies blocks of text. Everything else works without it.

const KEPT_KEY = 'key of '
const KEPT_ID = 'last '
const MAX_SHOWN = 200_000

for (const button of document.querySelectorAll('.copy')) {
  const label = button.innerHTML
  button.hidden = false
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector('code').textContent)
    button.textContent = 'Copied'
    setTimeout(() => { button.innerHTML = label }, 1_500)
  })
}

const form = document.querySelector('form.try')
if (form) prepare(form)

function prepare (form) {
  const { key } = form.elements
  const { product } = form.dataset
  key.value ||= sessionStorage.getItem(KEPT_KEY + product) ?? ''
  for (const field of form.querySelectorAll('[data-in="path"]')) {
    field.value ||= sessionStorage.getItem(KEPT_ID + field.name) ?? ''
  }
  const button = form.querySelector('button')
  button.disabled = false
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    sessionStorage.setItem(KEPT_KEY + product, key.value)
    button.disabled = true
    try {
      await send(form)
    } finally {
      button.disabled = false
      button.focus()
    }
  })
}

async function send (form) {
  const request = requestOf(form)
  const shown = document.getElementById('response')
  const began = performance.now()
  let response, body
  try {
    response = await fetch(request.url, request.options)
    body = await response.blob()
  } catch {
    const problem = 'No answer: the gateway is away, or a header has characters that no header can have.'
    shown.replaceChildren(element('p', problem, 'bad'))
    return
  }
  const ms = Math.round(performance.now() - began)
  const text = isText(response) ? await body.text() : undefined
  keepIds(form, response, text)
  shown.replaceChildren(
    statusLine(response, ms), ...problemLinks(form, response, text), ...bodyOf(response, body, text),
    details('Headers of the response', [...response.headers].map(([name, value]) => `${name}: ${value}`)
      .join('\n')),
    details('The same with curl', curlOf(request))
  )
}

function requestOf (form) {
  const { method, path } = form.dataset
  const headers = { 'Ocp-Apim-Subscription-Key': form.elements.key.value }
  const query = new URLSearchParams()
  let filled = path
  for (const { name, value, dataset } of form.querySelectorAll('[data-in]')) {
    if (value === '') continue
    if (dataset.in === 'header') headers[name] = value
    else if (dataset.in === 'query') query.append(name, value)
    else if (name === '*') filled = filled.replace(/\*$/, value.split('/').map(encodeURIComponent).join('/'))
    else filled = filled.replace(`{${name}}`, encodeURIComponent(value))
  }
  const data = new FormData(form)
  if (data.has('accept')) headers.Accept = data.get('accept')
  const body = data.get('body') ?? undefined
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const url = `${location.origin}${filled}${query.size > 0 ? `?${query}` : ''}`
  return { url, options: { method, headers, body, cache: 'no-store' } }
}

function isText (response) {
  const type = response.headers.get('content-type') ?? 'text/plain'
  return /^(text\/|application\/([a-z.-]*\+)?(json|x-ndjson))/.test(type)
}

/** Remembers the ids of what was created or found, for the paths of other operations, in this tab only. */
function keepIds (form, response, text) {
  for (const { name, value } of form.querySelectorAll('[data-in="path"]')) {
    sessionStorage.setItem(KEPT_ID + name, value)
  }
  if (!response.ok || !text) return
  let found
  try {
    found = [JSON.parse(text)].flat()[0]
  } catch {
    return
  }
  if (typeof found?.id !== 'string') return
  const { path, product } = form.dataset
  const name = product === 'auditor' ? 'id' : path.includes('/tests') ? 'testId' : 'patientId'
  sessionStorage.setItem(KEPT_ID + name, found.id)
}

function statusLine ({ status, statusText, ok }, ms) {
  const line = element('p', '', 'status')
  line.append(element('span', `${status} ${statusText}`, `badge ${ok || status === 304 ? 'good' : 'bad'}`))
  line.append(` after ${ms} ms`)
  return line
}

/** Leads from an error to its explanation, and to its operation in the monitor. */
function problemLinks (form, response, text) {
  if (response.ok || !text) return []
  let problem
  try {
    problem = JSON.parse(text)
  } catch {
    return []
  }
  const line = element('p', '')
  const code = problem.code ?? `statusCode-${problem.statusCode}`
  line.append(link(`/portal/errors#${encodeURIComponent(code)}`, 'What this error means'))
  const { monitor } = form.dataset
  if (monitor && problem.traceId) {
    line.append(' · ', link(`${monitor}operations/${encodeURIComponent(problem.traceId)}`, 'In the monitor'))
  }
  return [line]
}

function bodyOf (response, body, text) {
  if (body.size === 0) return [element('p', 'The response has no body.', 'faint')]
  const save = link(URL.createObjectURL(body), `Save the body (${body.size.toLocaleString('en')} bytes)`)
  const [, name] = /filename="?([^";]+)/.exec(response.headers.get('content-disposition') ?? '') ?? []
  save.download = name ?? `response.${extensionOf(response)}`
  const line = element('p', '')
  line.append(save)
  return text === undefined ? [line] : [block(pretty(text), 'Body of the response'), line]
}

function extensionOf (response) {
  const type = (response.headers.get('content-type') ?? '').split(';')[0]
  return { 'text/csv': 'csv', 'text/plain': 'txt', 'application/x-ndjson': 'ndjson' }[type] ??
    (type.endsWith('json') ? 'json' : 'bin')
}

function pretty (text) {
  let shown = text
  // Numbers keep their digits only in the text as it came
  try {
    const indented = JSON.stringify(JSON.parse(text), null, 2)
    if (indented.replace(/\s/g, '') === text.replace(/\s/g, '')) shown = indented
  } catch {}
  return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}\n… save the body to see all of it` : shown
}

function curlOf ({ url, options: { method, headers, body } }) {
  const quote = (word) => `'${word.replaceAll("'", "'\\''")}'`
  const shown = { ...headers, 'Ocp-Apim-Subscription-Key': undefined }
  return [
    `curl -i ${method === 'GET' ? '' : `-X ${method} `}${quote(url)} -H "Ocp-Apim-Subscription-Key: $KEY"`,
    ...Object.entries(shown).filter(([, value]) => value)
      .map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`-d ${quote(body)}`])
  ].join(' \\\n  ')
}

function details (title, text) {
  const whole = document.createElement('details')
  whole.append(element('summary', title), block(text, title))
  return whole
}

function block (text, label) {
  const pre = document.createElement('pre')
  pre.tabIndex = 0
  pre.setAttribute('role', 'region')
  pre.setAttribute('aria-label', label)
  pre.append(element('code', text))
  return pre
}

function link (href, text) {
  const anchor = element('a', text)
  anchor.href = href
  return anchor
}

function element (name, text, className = '') {
  const made = document.createElement(name)
  made.textContent = text
  made.className = className
  return made
}
