/** The paths of tiles (https://c2sp.org/tlog-tiles): each holds up to 256 hashes of one level, 32 bytes each. */

export const TILE_WIDTH = 256
/** A tile of level L + 1 has the roots of the full tiles of level L. */
export const TILE_HEIGHT = 8

export interface TilePath {
  level: number | 'entries'
  index: number
  /** The number of hashes, 256 in a full tile. */
  width: number
}

/** `<level>/<index>` with the index in groups of three digits, and `.p/<width>` if the tile is not full. */
export function formatTilePath ({ level, index, width }: TilePath) {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g)!
  const path = groups.map((group, i) => i < groups.length - 1 ? `x${group}` : group).join('/')
  return `${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`
}

/** The tile of a path; undefined where it is not the path of a tile. */
export function parseTilePath (path: string): TilePath | undefined {
  const match = /^(entries|[0-5]?\d|6[0-3])\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path)
  if (!match) return undefined
  const [, level, groups, partial] = match
  const tile: TilePath = {
    level: level === 'entries' ? level : Number(level),
    index: Number(groups!.replaceAll(/[x/]/g, '')),
    width: partial === undefined ? TILE_WIDTH : Number(partial)
  }
  const isValid = tile.width > 0 && Number.isSafeInteger(tile.index) && formatTilePath(tile) === path
  return isValid ? tile : undefined
}
