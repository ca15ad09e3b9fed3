/** Who is signed in. The token is given once; what stays is a cookie that no script can read. */

import { act, read, whenSignedOut } from './api.js';
import { createStore } from './store.js';

/**
 * @typedef {{ who: string, token_id: string | null, admin: boolean, roles: string[], prefix: string, expires: string | null,
 *   cluster: { name: string, id: string }, version: string, links: { grafana: string | null } }} Info
 */

/**
 * `unknown` before the first answer; `ended` if somebody was signed in, and is no more.
 * @type {import('./store.js').Store<{ state: 'unknown' | 'none' | 'open' | 'ended', info: Info | null }>}
 */
export const session = createStore({ state: 'unknown', info: null });

whenSignedOut(() => session.set((now) => (now.state === 'open' ? { ...now, state: 'ended' } : now)));

/** Asks who is signed in. @throws if nobody answers */
export async function resume() {
  try {
    session.set({ state: 'open', info: await read('v1/session', { quiet: true }) });
  } catch (error) {
    if (error.status !== 401) throw error;
    session.set({ state: 'none', info: null });
  }
}

/** @param {string} token @throws {import('./api.js').ApiError} */
export async function signIn(token) {
  session.set({ state: 'open', info: await act('POST', 'v1/session', { token }, {}) });
}

/** Signs out here; the cookie is gone even if the server cannot be asked. */
export async function signOut() {
  await act('DELETE', 'v1/session');
  session.set({ state: 'none', info: null });
}

/** Whether the one who is signed in has a role. @param {'read' | 'write' | 'delete' | 'admin'} role */
export function may(role) {
  const info = session.get().info;
  return info !== null && (info.roles.includes(role) || (role === 'admin' && info.admin));
}
