/** What happened lately: read once, and then as it comes. */

import { query, read } from './api.js';
import { hear } from './live.js';
import { createStore } from './store.js';

/** The leader remembers as many. */
const MOST = 1000;

/**
 * The oldest first; `events` is null before the first answer.
 * @type {import('./store.js').Store<{ events: Record<string, any>[] | null, error: any }>}
 */
export const recent = createStore({ events: null, error: null });

/** What came while the rest was being read. @type {Record<string, any>[]} */
let early = [];
let reading = false;
let end = () => {};

/** Begins, for whoever is signed in now; what came for somebody else is forgotten. */
export function startRecent() {
  end();
  recent.set({ events: null, error: null });
  end = hear((event) => {
    if (event.kind === 'reset') reload();
    else if (reading || recent.get().events === null) early.push(event);
    else recent.set(({ events }) => ({ events: joined(events, [event]), error: null }));
  });
  reload();
}

export async function reload() {
  reading = true;
  early = [];
  try {
    const page = await read(`v1/events${query({ limit: MOST })}`);
    recent.set({ events: joined(page.events.filter((event) => event.kind !== 'reset'), early), error: null });
  } catch (error) {
    recent.set((now) => ({ ...now, error }));
  }
  reading = false;
}

/** @param {Record<string, any>[]} before @param {Record<string, any>[]} more */
function joined(before, more) {
  const known = new Set(before.map((event) => event.id));
  return [...before, ...more.filter((event) => !known.has(event.id))].slice(-MOST);
}
