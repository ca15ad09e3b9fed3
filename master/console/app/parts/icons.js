/** Line icons, drawn for this console. They say nothing by themselves: a text stands beside or is their label. */

import { html } from '../html.js';

const PATHS = {
  overview: 'M4 13h6V4H4zm10 7h6V11h-6zM4 20h6v-3H4zM14 4v3h6V4z',
  files: 'M3.500 7a2 2 0 0 1 2-2h3.600l2.400 2.500h7a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2z',
  folder: 'M3.500 7a2 2 0 0 1 2-2h3.600l2.400 2.500h7a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2z',
  film: 'M4 5.500h16v13H4zM8 5.500v13M16 5.500v13M4 9.800h4M4 14.200h4M16 9.800h4M16 14.200h4',
  sound: 'M9 18V6l10-2v12M9 18a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0zm10-2a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0z',
  image: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9.500h.01',
  file: 'M6 3.500h8l4 4v13H6zM14 3.500v4h4',
  uploads: 'M12 16V5m0 0L7.500 9.500M12 5l4.500 4.500M4.500 16v2.500a1 1 0 0 0 1 1h13a1 1 0 0 0 1-1V16',
  download: 'M12 5v11m0 0 4.500-4.500M12 16l-4.500-4.500M4.500 16v2.500a1 1 0 0 0 1 1h13a1 1 0 0 0 1-1V16',
  workers: 'M4 5h16v5H4zM4 14h16v5H4zM7.500 7.500h.01M7.500 16.500h.01',
  tasks: 'M4 7h3m4 0h9M4 12h9m4 0h3M4 17h5m4 0h7',
  events: 'M12 7v5l3.500 2M20 12a8 8 0 1 1-16 0 8 8 0 0 1 16 0z',
  access: 'M14.500 13.500a4.500 4.500 0 1 0-4.100-2.600L4.500 17v2.500H7v-2h2v-2h2l.900-1.600c.800.400 1.700.600 2.600.600zM15.500 8.500h.01',
  trash: 'M5 7h14M10 7V4.500h4V7m-7.500 0 .800 12.500h9.400L17.500 7M10.300 11v5m3.400-5v5',
  edit: 'M5 19h3.500L19 8.500 15.500 5 5 15.500zM13 7.500l3.500 3.500',
  link: 'M10 14a4 4 0 0 0 5.700 0l3-3A4 4 0 0 0 13 5.300l-1 1M14 10a4 4 0 0 0-5.700 0l-3 3A4 4 0 0 0 11 18.700l1-1',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm5-2 4 4',
  check: 'm5 12.500 4.500 4.500L19 7.500',
  warning: 'M12 4 2.800 19.500h18.400zM12 10v4.500m0 2.500v.01',
  critical: 'M8 3.500h8l4.500 4.500v8L16 20.500H8L3.500 16V8zM12 8v5m0 3v.01',
  unknown: 'M9.500 9.500a2.500 2.500 0 1 1 3.400 2.300c-.600.300-.900.700-.900 1.700m0 2.700v.01M20 12a8 8 0 1 1-16 0 8 8 0 0 1 16 0z',
  close: 'M6 6l12 12M18 6 6 18',
  menu: 'M4 7h16M4 12h16M4 17h16',
  play: 'M8 5.500v13l10.500-6.500z',
  pause: 'M8.500 5.500v13m7-13v13',
  retry: 'M19 12a7 7 0 1 1-2-4.900L19 9M19 4.500V9h-4.500',
  next: 'm9.500 5.500 6.500 6.500-6.500 6.500',
  previous: 'M14.500 5.500 8 12l6.500 6.500',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  plus: 'M12 5v14M5 12h14',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm0-13v1.500M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1.100 1.100M17.300 17.300l1.100 1.100M5.600 18.400l1.100-1.100M17.300 6.700l1.100-1.100',
  signout: 'M14 5H6v14h8M10.500 12H20m0 0-3.500-3.500M20 12l-3.500 3.500',
  shield: 'M12 3.500 5 6v5.500c0 4.200 2.800 7.400 7 9 4.200-1.600 7-4.800 7-9V6zM9 12l2.200 2.200L15.200 10',
  copy: 'M9 9h10v10H9zM5 15V5h10',
};

/** @param {{ name: keyof typeof PATHS, label?: string }} props */
export function Icon({ name, label }) {
  return html`<svg class="icon" viewBox="0 0 24 24" role=${label ? 'img' : undefined} aria-label=${label}
    aria-hidden=${label ? undefined : 'true'} focusable="false"><path d=${PATHS[name] ?? PATHS.file} /></svg>`;
}

/** The icon of a file, by its media type. @param {string} [type] */
export function iconOf(type = '') {
  const [kind] = type.split('/');
  return { video: 'film', audio: 'sound', image: 'image' }[kind] ?? 'file';
}
