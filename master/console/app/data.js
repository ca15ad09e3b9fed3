/** What a page reads: read when it is needed, read again when it may have changed. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { hear, link } from './live.js';

/** No more often than so do events make a page read again. */
const CALM_MILLIS = 500;
const POLL_MILLIS = 5000;

/**
 * @template T
 * @typedef {{ data: T | null, error: Error | null, loading: boolean, reload: () => void, change: (next: (now: T) => T) => void }} Reading
 *   `data` stays while it is read again; `error` stands beside it then
 */

/**
 * Reads with `load` whenever `key` changes, an event that `on` wants comes, or time passes.
 * @template T
 * @param {string} key what is read; another key forgets the data
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {{ on?: (event: Record<string, any>) => boolean, every?: number | null }} [options]
 *   `every` so many milliseconds also while events come
 * @returns {Reading<T>}
 */
export function useData(key, load, options = {}) {
  const [state, setState] = useState({ key, data: null, error: null, loading: true });
  const latest = useRef({ load, options });
  latest.current = { load, options };
  const control = useRef({ reload: () => {} });

  useEffect(() => {
    let abort = new AbortController();
    let poll;
    let asked;
    let last = 0;
    setState((now) => ({ key, data: now.key === key ? now.data : null, error: null, loading: true }));

    async function readNow() {
      clearTimeout(poll);
      clearTimeout(asked);
      abort.abort();
      const mine = new AbortController();
      abort = mine;
      last = Date.now();
      try {
        const data = await latest.current.load(mine.signal);
        if (!mine.signal.aborted) setState({ key, data, error: null, loading: false });
      } catch (error) {
        if (!mine.signal.aborted) setState((now) => ({ ...now, error, loading: false }));
      }
      if (!mine.signal.aborted) plan();
    }
    function plan() {
      clearTimeout(poll);
      const { every } = latest.current.options;
      const wait = link.get() === 'live' ? every : Math.min(every ?? POLL_MILLIS, POLL_MILLIS);
      if (wait != null) poll = setTimeout(() => (document.hidden ? plan() : readNow()), wait);
    }
    function soon() {
      clearTimeout(asked);
      asked = setTimeout(readNow, Math.max(0, CALM_MILLIS - (Date.now() - last)));
    }

    control.current.reload = readNow;
    readNow();
    const endEvents = hear((event) => {
      if (event.kind === 'reset' || latest.current.options.on?.(event)) soon();
    });
    // While no events come, time has to do; once they do again, `reset` comes first.
    const endLink = link.watch(plan);
    return () => {
      clearTimeout(poll);
      clearTimeout(asked);
      abort.abort();
      endEvents();
      endLink();
    };
  }, [key]);

  const stale = state.key !== key;
  return {
    data: stale ? null : state.data,
    error: stale ? null : state.error,
    loading: stale || state.loading,
    reload: () => control.current.reload(),
    change: (next) => setState((now) => (now.data === null ? now : { ...now, data: next(now.data) })),
  };
}
