import { registerHooks } from 'node:module'

// Loaded before the audit service, keeps it from reviewing its records, so that the cost of other parts can
// be measured.

registerHooks({
  load (url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (!url.endsWith('/audit/review/review.ts')) return loaded
    return { ...loaded, source: `${loaded.source}\nReview.prototype.start = () => {}\n` }
  }
})
