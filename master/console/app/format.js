/** Numbers and times for people. */

import { language, t } from './texts.js';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
const number = (value, options) => new Intl.NumberFormat(language.get(), options).format(value);

/** A number with its thousands set apart; a dash for what is not known. @param {number | null | undefined} value */
export const count = (value) => (value == null ? '–' : number(value));

/** Bytes in binary units, three digits. @param {number | null | undefined} value */
export function bytes(value) {
  if (value == null) return '–';
  let unit = 0;
  let rest = value;
  while (rest >= 1000 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  return `${number(rest, { maximumFractionDigits: digits, minimumFractionDigits: unit === 0 ? 0 : digits })} ${UNITS[unit]}`;
}

/** Bytes in a second. @param {number | null | undefined} value */
export const rate = (value) => (value == null ? '–' : `${bytes(Math.round(value))}/s`);

/**
 * A part of a whole. Only all is 100 %, and only nothing is 0 %: 99.99 is never rounded to safe.
 * @param {number} part @param {number} whole
 */
export function percent(part, whole) {
  if (!(whole > 0)) return '–';
  const share = Math.min(Math.max(part / whole, 0), 1);
  if (share > 0 && share < 0.001) return '< 0.1 %';
  const shown = share < 1 ? Math.min(Math.floor(share * 1000) / 10, 99.9) : 100;
  return `${number(shown, { maximumFractionDigits: 1 })} %`;
}

/** A span, by its two largest units. @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return '–';
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86400);
  const hours = Math.floor((whole % 86400) / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (days > 0) return t('span.days', { d: days, h: hours });
  if (hours > 0) return t('span.hours', { h: hours, m: minutes });
  if (minutes > 0) return t('span.minutes', { m: minutes, s: whole % 60 });
  return t('span.seconds', { s: whole });
}

/** A point of a film: 1:02:03. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, '0');
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A date and a time of day. @param {string | number | Date | null | undefined} when */
export function dateTime(when) {
  if (when == null) return '–';
  const options = { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' };
  return new Intl.DateTimeFormat(language.get(), options).format(new Date(when));
}

/** A time of day, to the second. @param {string | number | Date} when */
export function timeOfDay(when) {
  const options = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  return new Intl.DateTimeFormat(language.get(), options).format(new Date(when));
}

/** How long ago, or in how long. @param {string | number | Date | null | undefined} when */
export function ago(when) {
  if (when == null) return '–';
  const seconds = (new Date(when).getTime() - Date.now()) / 1000;
  const relative = new Intl.RelativeTimeFormat(language.get(), { numeric: 'auto' });
  for (const [unit, span] of [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600], ['minute', 60]]) {
    if (Math.abs(seconds) >= span) return relative.format(Math.trunc(seconds / span), unit);
  }
  return Math.abs(seconds) < 10 ? t('time.now') : relative.format(Math.trunc(seconds), 'second');
}

/** The last part of a name. @param {string} name */
export const baseName = (name) => name.slice(name.lastIndexOf('/', name.length - 2) + 1);

/** The folder a name is in, with its slash; empty for the top. @param {string} name */
export const folderOf = (name) => name.slice(0, name.lastIndexOf('/', name.length - 2) + 1);
