/** URLs as a page writes them. */

/** Resolves a URL against the page's, as `fetch` does, so that it holds in a worker too. Returns all else as it is. */
export const absolute = <Source>(source: Source): Source | string => {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  return typeof source === 'string' && URL.canParse(source, base) ? new URL(source, base).href : source;
};
