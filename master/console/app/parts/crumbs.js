/** The way from the top to a folder. A token for one folder has its top there. */

import { html } from '../html.js';
import { href } from '../router.js';
import { session } from '../session.js';
import { t } from '../texts.js';

/** @param {{ folder: string, file?: boolean }} props `file`: the page is about a file in it */
export function Crumbs({ folder, file }) {
  const top = session.get().info?.prefix ?? '';
  if (folder === top && !file) return null;
  const segments = folder.slice(top.length).split('/').filter(Boolean);
  const steps = segments.map((name, at) => ({ name, path: `${top}${segments.slice(0, at + 1).join('/')}/` }));
  const shown = file ? steps : steps.slice(0, -1);
  return html`<nav class="crumbs" aria-label=${t('crumbs.label')}><ol>
    <li><a href=${href('files', top)}>${top === '' ? t('page.files') : top.replace(/\/$/, '')}</a></li>
    ${shown.map(({ name, path }) => html`<li key=${path}><a href=${href('files', path)}>${name}</a></li>`)}
  </ol></nav>`;
}
