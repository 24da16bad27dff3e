import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import type { Site } from './layout.ts'

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8'
}

/** A file that pages load. Its path changes with its content, so that browsers may keep it. */
export interface PageFile {
  /** Below the base of the site, with a version in its query. */
  path: string
  content: Buffer
}

/** Reads a style sheet or script. Bundles copy it to their own directory. */
export function pageFile (url: URL): PageFile {
  const content = readFileSync(url)
  const version = createHash('sha256').update(content).digest('hex').slice(0, 12)
  return { path: `/${url.pathname.split('/').at(-1)}?v=${version}`, content }
}

/** The style sheet that all sites have. */
export const style = pageFile(new URL('style.css', import.meta.url))
/** Refreshes the elements with `data-live`. */
export const live = pageFile(new URL('live.js', import.meta.url))

/** The routes of a site's style sheets, scripts and icon. */
export const siteFiles: FastifyPluginAsync<{ site: Site }> = async (app, { site }) => {
  for (const { path, content } of [...site.styles, ...site.scripts]) {
    const name = path.split('?')[0]!
    app.get(site.base + name, async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=31536000, immutable')
      return reply.type(TYPES[extname(name)]!).send(content)
    })
  }
  const icon = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">' +
    `<g fill="#3558c9">${site.logo}</g></svg>`
  app.get(`${site.base}/icon.svg`, async (_request, reply) => reply.type('image/svg+xml').send(icon))
}
