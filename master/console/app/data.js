/** What a page reads: read when it is needed, read again when it may have changed. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { doubt, hear, link } from './live.js';

/** No more often than so do events make a page read again, */
const CALM_MILLIS = 500;
/** nor sooner than so many times as long as the last reading took, so that a slow server is asked less. */
const CALM_TIMES = 3;
const POLL_MILLIS = 5000;

/**
 * @template T
 * @typedef {{ data: T | null, error: Error | null, loading: boolean, at: number, reload: () => void,
 *   change: (next: (now: T) => T) => void }} Reading
 *   `data` stays while it is read again; `error` stands beside it then; `at` is when the last
 *   reading began that has ended, also with an error
 */

/**
 * Reads with `load` whenever `key` changes, an event that `on` wants comes, or time passes.
 *
 * A reading that has begun is let end, whatever comes meanwhile: the server would go on with it anyway. What
 * comes meanwhile has it read once more.
 * @template T
 * @param {string} key what is read; another key forgets the data
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {{ on?: (event: Record<string, any>) => boolean, every?: number | null }} [options]
 *   `every` so many milliseconds also while events come
 * @returns {Reading<T>}
 */
export function useData(key, load, options = {}) {
  const [state, setState] = useState({ key, data: null, error: null, loading: true, at: 0 });
  const latest = useRef({ load, options });
  latest.current = { load, options };
  const control = useRef({ reload: () => {} });

  useEffect(() => {
    const abort = new AbortController();
    let poll;
    let asked;
    let reading = false;
    let again = false;
    let calmUntil = 0;
    setState((now) => ({ ...now, key, data: now.key === key ? now.data : null, error: null, loading: true }));

    async function readNow() {
      if (reading) {
        again = true;
        return;
      }
      clearTimeout(poll);
      clearTimeout(asked);
      reading = true;
      again = false;
      const at = Date.now();
      try {
        const data = await latest.current.load(abort.signal);
        if (!abort.signal.aborted) setState({ key, data, error: null, loading: false, at });
      } catch (error) {
        if (abort.signal.aborted) return;
        setState((now) => ({ ...now, error, loading: false, at }));
        if (error.status === 0) doubt();
      }
      if (abort.signal.aborted) return;
      reading = false;
      calmUntil = at + Math.max(CALM_MILLIS, CALM_TIMES * (Date.now() - at));
      plan();
      if (again) soon();
    }
    function plan() {
      clearTimeout(poll);
      const { every } = latest.current.options;
      const wait = link.get() === 'live' ? every : Math.min(every ?? POLL_MILLIS, POLL_MILLIS);
      if (wait != null) poll = setTimeout(() => (document.hidden ? plan() : readNow()), wait);
    }
    function soon() {
      if (reading) {
        again = true;
        return;
      }
      clearTimeout(asked);
      asked = setTimeout(readNow, Math.max(0, calmUntil - Date.now()));
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
    at: stale ? 0 : state.at,
    reload: () => control.current.reload(),
    change: (next) => setState((now) => (now.data === null ? now : { ...now, data: next(now.data) })),
  };
}
