/** The pages by name. Each is loaded when it is first looked at. */

import { html, useEffect, useState } from '../html.js';
import { Skeleton } from '../parts/basics.js';
import { ErrorNote } from '../parts/errors.js';
import { Missing } from './missing.js';

/**
 * `icon`: it stands in the navigation; `needs`: for those with that role; `under`: which it belongs to.
 * @type {Record<string, { load: () => Promise<any>, icon?: string, needs?: string, under?: string }>}
 */
export const PAGES = {
  overview: { load: async () => (await import('./overview.js')).Overview, icon: 'overview' },
  files: { load: async () => (await import('./files.js')).Files, icon: 'files' },
  file: { load: async () => (await import('./file.js')).FilePage, under: 'files' },
  uploads: { load: async () => (await import('./uploads.js')).Uploads, icon: 'uploads', needs: 'write' },
  trash: { load: async () => (await import('./trash.js')).Trash, icon: 'trash' },
  workers: { load: async () => (await import('./workers.js')).Workers, icon: 'workers', needs: 'admin' },
  tasks: { load: async () => (await import('./tasks.js')).Tasks, icon: 'tasks', needs: 'admin' },
  events: { load: async () => (await import('./events.js')).Events, icon: 'events' },
  access: { load: async () => (await import('./access.js')).Access, icon: 'access', needs: 'admin' },
  missing: { load: async () => Missing },
};

/** @type {Map<string, any>} */
const loaded = new Map();

/** @param {{ here: import('../router.js').Place }} props */
export function Page({ here }) {
  const name = here.page in PAGES ? here.page : 'missing';
  const [state, setState] = useState({ error: null, tried: 0 });
  useEffect(() => {
    if (loaded.has(name)) return undefined;
    let current = true;
    PAGES[name].load().then((component) => {
      loaded.set(name, component);
      if (current) setState((now) => ({ error: null, tried: now.tried }));
    }, (error) => current && setState((now) => ({ error, tried: now.tried })));
    return () => { current = false; };
  }, [name, state.tried]);

  const Component = loaded.get(name);
  if (Component) return html`<${Component} key=${name} here=${here} />`;
  // Browsers do not try a module again that failed to load: the page is loaded anew.
  if (state.error) return html`<${ErrorNote} error=${{ code: 'network', status: 0 }} retry=${() => location.reload()} />`;
  return html`<${Skeleton} lines=${6} />`;
}
