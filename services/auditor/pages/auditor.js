/* global document, fetch, print, setTimeout */
/* global AbortController, Blob, DOMParser, FormData, URL, URLSearchParams */
// Shows the progress of downloads, and prints. Without this script, links download as browsers do it.

/** Larger files are left to the browser, which writes them to disk as they arrive. */
const MAX_RECORDS = 200_000
const KIB = 1_024

const box = document.getElementById('download')
const bar = document.getElementById('download-bar')
const state = document.getElementById('download-state')
const printing = document.getElementById('print')
let running

if (printing) {
  printing.hidden = false
  printing.addEventListener('click', () => print())
}
if (box) {
  document.getElementById('download-cancel').addEventListener('click', () => running?.abort())
  for (const link of document.querySelectorAll('a[data-download]')) {
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || Number(link.dataset.total) > MAX_RECORDS) return
      event.preventDefault()
      download(link.href, Number(link.dataset.total) || undefined)
    })
  }
  for (const button of document.querySelectorAll('button[data-download-form]')) {
    button.form.addEventListener('submit', (event) => {
      event.preventDefault()
      download(`${button.form.action}?${new URLSearchParams(new FormData(button.form))}`)
    })
  }
}

/** Downloads a file; `total` is the number of its lines, if known. */
async function download (url, total) {
  running?.abort()
  const abort = running = new AbortController()
  box.hidden = false
  box.classList.remove('failed')
  bar.removeAttribute('value')
  show('Starting…')
  try {
    const response = await fetch(url, { signal: abort.signal })
    if (response.redirected) return document.location.reload()
    if (!response.ok) throw new Error(await reasonOf(response))
    const { parts, lines, bytes } = await read(response, total)
    const type = response.headers.get('content-type')
    save(new Blob(parts, { type }), nameIn(response))
    bar.value = bar.max = 1
    show(`Downloaded: ${amount(lines, bytes, isText(type))}.`)
  } catch (error) {
    bar.value = 0
    box.classList.add('failed')
    const reason = error.name === 'Error' ? error.message : 'Try again.'
    show(abort.signal.aborted ? 'Cancelled.' : `The download failed, and nothing was saved. ${reason}`)
  } finally {
    if (running === abort) running = undefined
  }
}

async function read (response, total) {
  const parts = []
  const isLines = isText(response.headers.get('content-type'))
  let [bytes, lines, shown] = [0, 0, 0]
  for await (const part of response.body) {
    parts.push(part)
    bytes += part.length
    if (isLines) for (const byte of part) if (byte === 10) lines++
    // Screen readers read a status out whenever it is set
    if (bytes - shown < 256 * KIB) continue
    shown = bytes
    if (total && isLines) bar.value = Math.min(1, lines / total)
    show(amount(lines, bytes, isLines))
  }
  return { parts, lines, bytes }
}

function save (blob, name) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

function isText (type) {
  return type?.startsWith('application/x-ndjson') || type?.startsWith('text/csv')
}

function nameIn (response) {
  return /filename="([^"]+)"/.exec(response.headers.get('content-disposition'))?.[1] ?? 'download'
}

/** What the page of a failed download says. */
async function reasonOf (response) {
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  return page.querySelector('.notice')?.textContent.trim().replace(/\s+/g, ' ') ?? 'Try again.'
}

function amount (lines, bytes, isLines) {
  const size = bytes < KIB * KIB ? `${Math.ceil(bytes / KIB)} KB` : `${(bytes / KIB / KIB).toFixed(1)} MB`
  return isLines ? `${lines.toLocaleString('en')} lines, ${size}` : size
}

function show (text) {
  state.textContent = text
}
