/** A place where files may be dropped. */

import { count } from '../format.js';
import { classes, html, useRef, useState } from '../html.js';
import { Icon } from '../parts/icons.js';
import { complain, say } from '../parts/toasts.js';
import { go, href } from '../router.js';
import { may } from '../session.js';
import { t } from '../texts.js';
import { fromDrop, MOST } from './picking.js';
import { add } from './queue.js';

/**
 * Takes picked files into the queue, and says so.
 * @param {Promise<import('./picking.js').Picked[]>} picking @param {string} folder
 */
export async function take(picking, folder) {
  try {
    const picked = await picking;
    if (picked.length > MOST) complain({ code: 'too_many_files', detail: t('uploads.too_many', { n: count(MOST) }) });
    const added = add(picked.slice(0, MOST), folder);
    if (added > 0 && !location.hash.startsWith('#/uploads')) {
      say(t('uploads.added', { count: added, n: count(added) }), { label: t('uploads.show'), run: () => go(href('uploads')) });
    }
  } catch (error) {
    complain(error, t('uploads.unreadable'));
  }
}

/** @param {{ folder: string, children: any }} props `folder`: where what is dropped goes */
export function Drop({ folder, children }) {
  const [over, setOver] = useState(false);
  const depth = useRef(0);
  const hasFiles = (event) => may('write') && [...event.dataTransfer.types].includes('Files');
  const step = (by) => (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth.current = Math.max(0, depth.current + by);
    setOver(depth.current > 0);
  };
  const drop = (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth.current = 0;
    setOver(false);
    take(fromDrop(event.dataTransfer), folder);
  };
  return html`<div class=${classes('drop', over && 'drop-over')} onDragEnter=${step(1)} onDragLeave=${step(-1)} onDragOver=${step(0)} onDrop=${drop}>
    ${children}
    ${over && html`<div class="drop-veil" aria-hidden="true"><div><${Icon} name="uploads" /><p>${folder ? t('uploads.drop_in', { folder }) : t('uploads.drop')}</p></div></div>`}
  </div>`;
}
