/* global document, fetch, location, sessionStorage, DOMParser */
// Refreshes the elements with data-live by fetching the page again. Without this script, reloading does the
// same.

const INTERVAL_MS = 2_000
const PAUSED = 'paused'

const toggle = document.getElementById('live-toggle')
const state = document.getElementById('live-state')
const shown = new Map()

let paused = sessionStorage.getItem(PAUSED) === 'yes'
let connected = true

toggle.hidden = false
toggle.addEventListener('click', () => {
  paused = !paused
  sessionStorage.setItem(PAUSED, paused ? 'yes' : 'no')
  showState()
})
showState()
for (const region of document.querySelectorAll('[data-live]')) shown.set(region.id, region.innerHTML)
setInterval(refresh, INTERVAL_MS)

async function refresh () {
  if (paused || document.hidden) return
  try {
    // A 404 is shown too: the telemetry of an operation may still arrive
    const response = await fetch(location.href, { signal: AbortSignal.timeout(INTERVAL_MS * 5) })
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html')
    if (paused) return
    for (const region of document.querySelectorAll('[data-live]')) {
      update(region, fresh.getElementById(region.id))
    }
    document.title = fresh.title
    connected = true
  } catch {
    connected = false
  }
  showState()
}

function update (region, next) {
  if (!next || shown.get(region.id) === next.innerHTML) return
  // A row must not move while the pointer is over it
  if (region.dataset.live === 'hold' && region.matches(':hover')) return
  shown.set(region.id, next.innerHTML)
  const open = [...region.querySelectorAll('details[open]')].map(({ dataset }) => dataset.key)
  const focused = region.contains(document.activeElement) ? keyOf(document.activeElement) : undefined
  region.replaceChildren(...next.childNodes)
  for (const details of region.querySelectorAll('details')) details.open = open.includes(details.dataset.key)
  if (!focused) return
  const links = [...region.querySelectorAll('a, summary')]
  links.find((element) => keyOf(element) === focused)?.focus({ preventScroll: true })
}

function keyOf (element) {
  return element.getAttribute('href') ?? element.parentElement.dataset.key
}

// Screen readers read a status out whenever it is set
function showState () {
  const text = paused ? 'Paused' : connected ? 'Live' : 'Disconnected'
  if (state.textContent !== text) state.textContent = text
  state.className = paused ? 'paused' : connected ? 'connected' : 'disconnected'
  toggle.textContent = paused ? 'Resume' : 'Pause'
}
