/** Light or dark: as the system has it, or as it was chosen. */

import { createStore } from './store.js';

const CHOICE = 'mdfs.theme';

/** @type {import('./store.js').Store<'auto' | 'light' | 'dark'>} */
export const theme = createStore('auto');

export function startTheme() {
  const chosen = localStorage.getItem(CHOICE);
  use(chosen === 'light' || chosen === 'dark' ? chosen : 'auto');
}

/** @param {'auto' | 'light' | 'dark'} choice */
export function chooseTheme(choice) {
  localStorage.setItem(CHOICE, choice);
  use(choice);
}

function use(choice) {
  const root = document.documentElement;
  if (choice === 'auto') root.removeAttribute('data-theme');
  else root.setAttribute('data-theme', choice);
  theme.set(choice);
}

/** Calls with every change of what is shown. @param {() => void} listener @returns {() => void} */
export function watchTheme(listener) {
  const system = matchMedia('(prefers-color-scheme: dark)');
  system.addEventListener('change', listener);
  const end = theme.watch(listener);
  return () => {
    system.removeEventListener('change', listener);
    end();
  };
}
