/* global document, fetch, location, sessionStorage, DOMParser */
// Renews what carries data-live: the page as the server writes it, fetched again. Without this script a reload does the same.

const EVERY_MS = 2_000
const PAUSED = 'paused'

const toggle = document.getElementById('live-toggle')
const state = document.getElementById('live-state')
const shown = new Map()

let paused = sessionStorage.getItem(PAUSED) === 'yes'
let reached = true

toggle.hidden = false
toggle.addEventListener('click', () => {
  paused = !paused
  sessionStorage.setItem(PAUSED, paused ? 'yes' : 'no')
  tell()
})
tell()
for (const region of document.querySelectorAll('[data-live]')) shown.set(region.id, region.innerHTML)
setInterval(renew, EVERY_MS)

async function renew () {
  if (paused || document.hidden) return
  try {
    // A page that is not there yet says so with a 404, and may be there next time
    const response = await fetch(location.href, { signal: AbortSignal.timeout(EVERY_MS * 5) })
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html')
    if (paused) return
    for (const region of document.querySelectorAll('[data-live]')) take(region, fresh.getElementById(region.id))
    document.title = fresh.title
    reached = true
  } catch {
    reached = false
  }
  tell()
}

function take (region, next) {
  if (!next || shown.get(region.id) === next.innerHTML) return
  // A row must not move away under a pointer that is about to click it
  if (region.dataset.live === 'hold' && region.matches(':hover')) return
  shown.set(region.id, next.innerHTML)
  const open = [...region.querySelectorAll('details[open]')].map(({ dataset }) => dataset.key)
  const focused = region.contains(document.activeElement) ? keyOf(document.activeElement) : undefined
  region.replaceChildren(...next.childNodes)
  for (const details of region.querySelectorAll('details')) details.open = open.includes(details.dataset.key)
  if (focused) [...region.querySelectorAll('a, summary')].find((element) => keyOf(element) === focused)?.focus({ preventScroll: true })
}

function keyOf (element) {
  return element.getAttribute('href') ?? element.parentElement.dataset.key
}

// A status that is said again and again would be read out each time
function tell () {
  const text = paused ? 'Paused' : reached ? 'Live' : 'Not reached'
  if (state.textContent !== text) state.textContent = text
  state.className = paused ? 'paused' : reached ? 'reached' : 'away'
  toggle.textContent = paused ? 'Go on' : 'Pause'
}
