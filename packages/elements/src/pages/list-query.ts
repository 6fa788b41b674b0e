/** Which machines the home page shows, and how: the search, the status, the page and the screens, which its address keeps. */

export interface ListQuery {
  /** A part of the name or the id; empty: every machine. */
  readonly search: string
  /** Nova's status, such as `ACTIVE`; empty: every status. */
  readonly status: string
  /** From 1. */
  readonly page: number
}

export interface ListState extends ListQuery {
  /** Whether the list shows pictures of the screens. */
  readonly screens: boolean
}

/** How many machines a page has. */
export const PAGE_SIZE = 50

/** Reads the state from the parameters `search`, `status`, `page` and `screens` of an address. */
export function readListState(address: string): ListState {
  const { searchParams } = new URL(address)
  const page = Number(searchParams.get('page') ?? 1)
  return {
    search: (searchParams.get('search') ?? '').slice(0, MAX_SEARCH_LENGTH),
    status: (searchParams.get('status') ?? '').toUpperCase().slice(0, MAX_STATUS_LENGTH),
    page: Number.isSafeInteger(page) && page >= 1 && page <= MAX_PAGE ? page : 1,
    screens: searchParams.get('screens') === '1',
  }
}

/** The limits of the API. */
const MAX_SEARCH_LENGTH = 255
const MAX_STATUS_LENGTH = 32
const MAX_PAGE = 100_000

/** Returns `address` with the parameters of the state, and without those that are their defaults. */
export function withListState(address: string, { search, status, page, screens }: ListState): string {
  const url = new URL(address)
  const values = { search: search.trim(), status, page: page === 1 ? '' : String(page), screens: screens ? '1' : '' }
  for (const [name, value] of Object.entries(values)) {
    if (value === '') url.searchParams.delete(name)
    else url.searchParams.set(name, value)
  }
  return url.href
}

/** How many pages `total` machines fill; at least one. */
export const pagesOf = (total: number): number => Math.max(1, Math.ceil(total / PAGE_SIZE))
