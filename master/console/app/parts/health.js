/** The health of the cluster: how it looks, and what it says in one sentence. */

import { count } from '../format.js';
import { t } from '../texts.js';

const TONES = { ok: 'good', degraded: 'warn', critical: 'bad', unknown: 'muted' };
const ICONS = { ok: 'check', degraded: 'warning', critical: 'critical', unknown: 'unknown' };

/** @param {string | null | undefined} health */
export const toneOf = (health) => TONES[health] ?? 'muted';
/** @param {string | null | undefined} health */
export const iconOfHealth = (health) => ICONS[health] ?? 'unknown';

/**
 * One sentence that is true: the worst first. What is not known is never called safe.
 * @param {Record<string, any> | null} now the overview
 */
export function sentence(now) {
  if (!now || !now.health || now.health === 'unknown') return t('health.unknown');
  const missing = now.missing ?? 0;
  const under = now.under_replicated ?? 0;
  const silent = now.workers ? now.workers.total - now.workers.live : 0;
  if (missing > 0) return t('health.missing', { count: missing, n: count(missing) });
  if (now.health === 'critical') return t('health.critical');
  if (under > 0 && silent > 0) {
    return t('health.silent', { count: silent, n: count(silent), files: count(under) });
  }
  if (under > 0) return t('health.under', { count: under, n: count(under) });
  if (now.health === 'degraded') return t('health.degraded');
  return now.files === 0 ? t('health.empty') : t('health.ok');
}
