/** What every component is written with: `html` makes elements of a template. */

import { h, Fragment } from 'preact';
import htm from 'htm';

export const html = htm.bind(h);
export { Fragment };
export {
  useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState,
} from 'preact/hooks';

/**
 * Class names of those that hold.
 * @param {...(string|false|null|undefined)} names
 */
export const classes = (...names) => names.filter(Boolean).join(' ');
