/**
 * Where in the console one is. All of it stands behind the `#`, so the server knows one page, and the
 * console works below any path: `#/files/films/?search=moon`.
 */

import { createStore } from './store.js';

/**
 * @typedef {{ page: string, rest: string, query: Record<string, string> }} Place
 *   `rest` is what comes behind the page: a folder or a file's name, decoded
 */

/** @type {import('./store.js').Store<Place>} */
export const place = createStore(parse(location.hash));

addEventListener('hashchange', () => place.set(parse(location.hash)));

/** @param {string} hash @returns {Place} */
export function parse(hash) {
  const [path, search = ''] = split(hash.replace(/^#?\/?/, ''));
  const slash = path.indexOf('/');
  const page = slash < 0 ? path : path.slice(0, slash);
  const rest = slash < 0 ? '' : path.slice(slash + 1).split('/').map(decoded).join('/');
  return { page: decoded(page) || 'overview', rest, query: Object.fromEntries(new URLSearchParams(search)) };
}

function split(text) {
  const mark = text.indexOf('?');
  return mark < 0 ? [text] : [text.slice(0, mark), text.slice(mark + 1)];
}

function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // typed by hand: shown as it is, and the server says what it thinks of it
  }
}

/**
 * A link to a place.
 * @param {string} page @param {string} [rest] @param {Record<string, string | null | undefined>} [query]
 */
export function href(page, rest = '', query = {}) {
  const path = rest === '' ? '' : `/${rest.split('/').map(encodeURIComponent).join('/')}`;
  const pairs = Object.entries(query).filter(([, value]) => value != null && value !== '');
  const search = pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`;
  return `#/${page}${path}${search}`;
}

/** Goes there. `replace` leaves no step to come back to. */
export function go(target, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, '', target);
    place.set(parse(location.hash));
  } else {
    location.hash = target;
  }
}
