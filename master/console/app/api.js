/** Requests to the API that this console is a client of, like any other. */

/** Why a request failed, in a form that pages can show. */
export class ApiError extends Error {
  /**
   * @param {number} status the HTTP status; 0 if there was no answer
   * @param {string} code the API's stable word, or `network` or `timeout`
   * @param {string} detail for people
   * @param {string | null} requestId names the request in the server's log
   * @param {number | null} [retryAfter] seconds
   */
  constructor(status, code, detail, requestId, retryAfter = null) {
    super(detail);
    this.name = 'ApiError';
    Object.assign(this, { status, code, detail, requestId, retryAfter });
  }

  /** Whether it may pass by itself: no answer, or an answer that says so. */
  get passes() {
    return this.status === 0 || this.status === 503 || this.status === 502 || this.status === 504;
  }
}

/** Is told of every `401`: what was signed in is no more. */
let onSignedOut = () => {};

/** Says that a request was answered as that of nobody. */
export const signedOut = () => onSignedOut();

/** @param {() => void} listener */
export function whenSignedOut(listener) {
  onSignedOut = listener;
}

/** How long an answer may take; an upload of bytes has no such limit. */
const PATIENCE_MILLIS = 30_000;
/** How often a reading is tried again while that may help. */
const TRIES = 3;

/**
 * Names become paths segment by segment; slashes stay.
 * @param {string} name
 */
export const pathOf = (name) => name.split('/').map(encodeURIComponent).join('/');

/** @param {Record<string, string | number | boolean | null | undefined>} values */
export function query(values) {
  const pairs = Object.entries(values).filter(([, value]) => value != null && value !== '' && value !== false);
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs.map(([key, value]) => [key, String(value)]))}`;
}

/**
 * One request. URLs are relative to the page, so the console works below any path.
 * @param {string} method
 * @param {string} path such as `v1/status`
 * @param {{ body?: unknown, headers?: Record<string, string>, signal?: AbortSignal, quiet?: boolean, patience?: number }} [options]
 *   `body` is sent as JSON; `quiet` keeps a `401` to whoever asks
 * @returns {Promise<Response>}
 * @throws {ApiError}
 */
export async function send(method, path, options = {}) {
  const headers = new Headers({ Accept: 'application/json', ...options.headers });
  if (options.body !== undefined) headers.set('Content-Type', 'application/json');
  const late = AbortSignal.timeout(options.patience ?? PATIENCE_MILLIS);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal, cache: 'no-store', credentials: 'same-origin',
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const code = late.aborted ? 'timeout' : 'network';
    throw new ApiError(0, code, code, null);
  }
  if (response.ok) return response;
  const error = await problemOf(response);
  if (error.status === 401 && !options.quiet) onSignedOut();
  throw error;
}

/** @param {Response} response @returns {Promise<ApiError>} */
export async function problemOf(response) {
  const text = await response.text().catch(() => '');
  return problem(response.status, text, response.headers.get('x-request-id'), response.headers.get('retry-after'));
}

/**
 * @param {number} status @param {string} text the body
 * @param {string | null} requestId @param {string | null} retryAfter
 */
export function problem(status, text, requestId, retryAfter) {
  let told = {};
  try {
    told = JSON.parse(text);
  } catch {
    // A proxy in between answers pages of its own; its status has to do.
  }
  const code = typeof told.code === 'string' ? told.code : `http_${status}`;
  return new ApiError(status, code, told.detail ?? told.title ?? '', told.request_id ?? requestId,
    retryAfter === null ? null : Number(retryAfter) || null);
}

/**
 * Reads JSON, and tries again while the failure may pass.
 * @param {string} path @param {{ signal?: AbortSignal, quiet?: boolean, tries?: number }} [options]
 */
export async function read(path, options = {}) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await (await send('GET', path, options)).json();
    } catch (error) {
      const again = error instanceof ApiError && error.passes && tried < (options.tries ?? TRIES);
      if (!again) throw error;
      await pause(waitFor(tried, error.retryAfter), options.signal);
    }
  }
}

/**
 * Orders something, and gives the JSON of the answer if it has any.
 * @param {string} method @param {string} path @param {unknown} [body]
 * @param {{ headers?: Record<string, string>, signal?: AbortSignal, patience?: number }} [options]
 */
export async function act(method, path, body, options = {}) {
  const response = await send(method, path, { ...options, body });
  const text = await response.text();
  return text === '' ? null : JSON.parse(text);
}

/**
 * How long to wait before the next try, in milliseconds: longer each time, and never exactly as long as others.
 * @param {number} tried @param {number | null} [told] what the server asked for, in seconds
 */
export function waitFor(tried, told = null) {
  const base = Math.min(300 * 2 ** tried, 15_000);
  return Math.max(base * (0.5 + Math.random() / 2), (told ?? 0) * 1000);
}

/** @param {number} millis @param {AbortSignal} [signal] */
export function pause(millis, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, millis);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** An id by which a change takes effect once, however often it is sent: 12 digits of time, 20 of chance. */
export function changeId() {
  const chance = crypto.getRandomValues(new Uint8Array(10));
  const hex = [...chance].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return Date.now().toString(16).padStart(12, '0') + hex;
}
