/** A value that components watch: the smallest state container that suffices. */

import { useEffect, useState } from 'preact/hooks';

/**
 * @template T
 * @typedef {{ get: () => T, set: (next: T | ((now: T) => T)) => void, watch: (listener: (now: T) => void) => () => void }} Store
 */

/**
 * @template T
 * @param {T} initial
 * @returns {Store<T>}
 */
export function createStore(initial) {
  let value = initial;
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      const then = typeof next === 'function' ? next(value) : next;
      if (Object.is(then, value)) return;
      value = then;
      for (const listener of [...listeners]) listener(value);
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * The part of a store that `select` takes; the component is drawn anew when that changes.
 * @template T, P
 * @param {Store<T>} store
 * @param {(now: T) => P} [select]
 * @returns {P}
 */
export function useStore(store, select = (now) => now) {
  const [part, setPart] = useState(() => select(store.get()));
  useEffect(() => {
    const update = () => setPart(() => select(store.get()));
    update(); // it may have changed between drawing and here
    return store.watch(update);
  }, [store]);
  return part;
}
