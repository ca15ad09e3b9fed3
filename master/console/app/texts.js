/** The texts of the chosen language. English is always there, and stands in for what is missing. */

import english from '../texts/en.js';
import { createStore } from './store.js';

const CHOICE = 'mdfs.language';

/** The languages there are, each by its own name. */
export const LANGUAGES = { en: 'English', 'zh-CN': '简体中文' };

/** The language in use. Whoever draws texts watches it in the frame, which draws everything anew. */
export const language = createStore('en');

let texts = english;
let plurals = new Intl.PluralRules('en');

/** Chooses what was chosen before, or what the browser prefers. */
export function startTexts() {
  const wanted = localStorage.getItem(CHOICE) ?? navigator.language;
  return use(wanted.startsWith('zh') ? 'zh-CN' : 'en');
}

/**
 * Changes the language, now and for the next visit.
 * @param {keyof typeof LANGUAGES} tag
 */
export function chooseLanguage(tag) {
  localStorage.setItem(CHOICE, tag);
  return use(tag);
}

async function use(tag) {
  texts = tag === 'zh-CN' ? (await import('../texts/zh-CN.js')).default : english;
  plurals = new Intl.PluralRules(tag);
  document.documentElement.lang = tag;
  language.set(tag);
}

/**
 * The text of a key, with `{name}` replaced by the value of that name. If `count` is given, the form of
 * that number is taken: `KEY.one`, or else `KEY`.
 * @param {string} key
 * @param {Record<string, string | number>} [values] `count` chooses the form; `n` is what is shown of it
 * @returns {string}
 */
export function t(key, values = {}) {
  const form = typeof values.count === 'number' ? `${key}.${plurals.select(values.count)}` : key;
  const text = texts[form] ?? texts[key] ?? english[form] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Whether there is such a text. @param {string} key */
export const hasText = (key) => key in english;
