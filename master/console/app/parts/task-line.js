/** One task: what, why, how far, how fast, until when. */

import { bytes, count, duration, percent, rate } from '../format.js';
import { html } from '../html.js';
import { t } from '../texts.js';
import { Bar } from './basics.js';

/** @param {{ task: Record<string, any> }} props */
export function TaskLine({ task }) {
  const name = t(`task.${task.kind}`);
  const { done_bytes: done, total_bytes: total } = task;
  return html`<div class="task" data-task=${task.kind}>
    <div class="task-head">
      <strong>${name}</strong>
      ${task.worker && html`<span class="task-worker">${task.worker}</span>`}
      <span class="task-percent">${percent(done, total)}</span>
    </div>
    <${Bar} done=${done} total=${total} label=${name} />
    <p class="task-note">
      <span>${t('task.bytes', { done: bytes(done), total: bytes(total) })}</span>
      <span>${t('task.chunks', { done: count(task.done_chunks), total: count(task.total_chunks) })}</span>
      <span>${task.bytes_per_second > 0 ? rate(task.bytes_per_second) : t('task.still')}</span>
      <span>${task.eta_seconds == null ? t('task.no_end') : t('task.eta', { span: duration(task.eta_seconds) })}</span>
    </p>
    <p class="task-cause">${t(`task.${task.kind}.why`)}</p>
  </div>`;
}
