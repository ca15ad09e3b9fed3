/** Uploads of this browser: choose or drop, watch them go, mend what is stuck. */

import { bytes, count, duration, folderOf, baseName, percent, rate } from '../format.js';
import { html, useState } from '../html.js';
import { Badge, Bar, Card, Empty, PageHead } from '../parts/basics.js';
import { meaning } from '../parts/errors.js';
import { Icon } from '../parts/icons.js';
import { complain } from '../parts/toasts.js';
import { href } from '../router.js';
import { session } from '../session.js';
import { useStore } from '../store.js';
import { t } from '../texts.js';
import { Drop, take } from '../uploads/drop.js';
import { canPick, choose, fromInput } from '../uploads/picking.js';
import {
  all, clearDone, movedOf, pauseAll, pauseItem, removeItem, resumeAll, resumeItem, total, version,
} from '../uploads/queue.js';

/** So many lines are drawn; what moves and what is stuck comes first. */
const LINES = 100;
const ORDER = { running: 0, conflict: 1, failed: 1, absent: 1, locked: 1, paused: 2, waiting: 3, done: 4 };
const TONES = { running: 'info', conflict: 'warn', failed: 'bad', absent: 'warn', locked: 'warn', paused: 'muted', waiting: 'muted', done: 'good' };

/** @param {{ here: import('../router.js').Place }} props */
export function Uploads({ here }) {
  useStore(version);
  const [folder, setFolder] = useState(here.query.to ?? session.get().info.prefix ?? '');
  const target = folder === '' || folder.endsWith('/') ? folder : `${folder}/`;
  const items = all().sort((left, right) => ORDER[left.state] - ORDER[right.state]);
  return html`<${Drop} folder=${target}>
    <${PageHead} title=${t('page.uploads')} />
    <${Chooser} folder=${folder} target=${target} setFolder=${setFolder} />
    ${items.length === 0
      ? html`<${Empty} icon="uploads" title=${t('uploads.none')} text=${t('uploads.none_text')} />`
      : html`<${Sum} items=${items} />
        <ul class="uploads">${items.slice(0, LINES).map((item) => html`<${Line} key=${item.id} item=${item} version=${version.get()} />`)}</ul>
        ${items.length > LINES && html`<p class="page-note">${t('uploads.more', { count: items.length - LINES, n: count(items.length - LINES) })}</p>`}`}
  <//>`;
}

/** Where to, and which. */
function Chooser({ folder, target, setFolder }) {
  const chosen = (event) => {
    const files = [...event.target.files];
    event.target.value = ''; // the same file may be chosen again
    take(Promise.resolve(fromInput(files)), target);
  };
  const pick = (event) => {
    if (!canPick()) return; // the field's own chooser opens
    event.preventDefault();
    take(choose(), target);
  };
  return html`<${Card} class="chooser">
    <label class="field">${t('uploads.folder')}
      <input type="text" value=${folder} placeholder=${t('uploads.folder_top')} autocomplete="off" spellcheck="false" onInput=${(event) => setFolder(event.target.value)} /></label>
    <div class="chooser-buttons">
      <label class="button button-main file-button"><${Icon} name="plus" />${t('uploads.choose')}
        <input type="file" multiple name="files" onClick=${pick} onChange=${chosen} /></label>
      <label class="button file-button"><${Icon} name="folder" />${t('uploads.choose_folder')}
        <input type="file" webkitdirectory name="folder" onChange=${chosen} /></label>
    </div>
    <p class="chooser-hint">${t('uploads.hint')}</p>
  <//>`;
}

/** All of them together. */
function Sum({ items }) {
  const size = items.reduce((sum, item) => sum + item.size, 0);
  const moved = items.reduce((sum, item) => sum + movedOf(item), 0);
  const done = items.filter((item) => item.state === 'done').length;
  const moving = items.some((item) => item.state === 'running' || item.state === 'waiting');
  const still = items.some((item) => item.state === 'paused' || item.state === 'failed');
  return html`<section class="card sum" aria-label=${t('uploads.sum')}>
    <div class="sum-head">
      <p class="sum-figure">${percent(moved, size)}</p>
      <p class="sum-text"><strong>${t('uploads.done_of', { done: count(done), n: count(items.length), count: items.length })}</strong>
        <span>${t('uploads.bytes_of', { done: bytes(moved), total: bytes(size) })}${moving && total.bytesPerSecond > 0
          ? ` · ${rate(total.bytesPerSecond)} · ${t('uploads.eta', { span: duration(total.eta(size - moved)) })}` : ''}</span></p>
      <div class="sum-buttons">
        ${moving && html`<button type="button" class="button" onClick=${pauseAll}><${Icon} name="pause" />${t('uploads.pause_all')}</button>`}
        ${still && html`<button type="button" class="button" onClick=${resumeAll}><${Icon} name="play" />${t('uploads.resume_all')}</button>`}
        ${done > 0 && html`<button type="button" class="button" onClick=${clearDone}><${Icon} name="check" />${t('uploads.clear')}</button>`}
      </div>
    </div>
    <${Bar} done=${moved} total=${size} label=${t('uploads.sum')} />
  </section>`;
}

/** One file. @param {{ item: import('../uploads/queue.js').Item, version: number }} props */
function Line({ item }) {
  const { state } = item;
  const moved = movedOf(item);
  const name = baseName(item.name);
  const remove = () => removeItem(item).catch((error) => complain(error, t('uploads.not_removed')));
  return html`<li class="upload" data-name=${item.name} data-state=${state}>
    <div class="upload-head">
      <div class="upload-name">${state === 'done' ? html`<a href=${href('file', item.name)}>${name}</a>` : html`<span>${name}</span>`}
        <small>${folderOf(item.name) || t('uploads.folder_top')}</small></div>
      <${Badge} tone=${TONES[state]}>${t(`upload.${state}`)}<//>
      <div class="upload-buttons">
        ${(state === 'running' || state === 'waiting') && html`<${Act} icon="pause" text=${t('uploads.pause')} name=${name} run=${() => pauseItem(item)} />`}
        ${state === 'paused' && html`<${Act} icon="play" text=${t('uploads.resume')} name=${name} run=${() => resumeItem(item)} />`}
        ${state === 'failed' && html`<${Act} icon="retry" text=${t('action.retry')} name=${name} run=${() => resumeItem(item)} />`}
        <${Act} icon="close" text=${state === 'done' ? t('uploads.clear_one') : t('uploads.remove')} name=${name} run=${remove} />
      </div>
    </div>
    <${Bar} done=${state === 'done' ? 1 : moved} total=${state === 'done' ? 1 : item.size} tone=${state === 'done' ? 'good' : state === 'failed' ? 'bad' : undefined} label=${t('upload.progress', { name })} />
    <p class="upload-note"><span>${t('uploads.bytes_of', { done: bytes(moved), total: bytes(item.size) })}</span>
      ${state === 'running' && item.meter.bytesPerSecond > 0 && html`<span>${rate(item.meter.bytesPerSecond)}</span>
        <span>${t('uploads.eta', { span: duration(item.meter.eta(item.size - moved)) })}</span>`}
      ${state === 'done' && item.stored && html`<span>${t('upload.checked')} <code>${item.stored.crc32}</code></span>`}</p>
    <${Trouble} item=${item} />
  </li>`;
}

function Act({ icon, text, name, run }) {
  return html`<button type="button" class="button-icon" aria-label=${`${text}: ${name}`} title=${text} onClick=${run}><${Icon} name=${icon} /></button>`;
}

/** What holds it up, and what can be done. */
function Trouble({ item }) {
  const { state, error, waitingFor } = item;
  if (state === 'running' && waitingFor) return html`<p class="upload-trouble">${t('upload.waits', { why: meaning(waitingFor) })}</p>`;
  if (state === 'absent') return html`<p class="upload-trouble">${t('upload.absent_text')}</p>`;
  if (state === 'locked') {
    return html`<p class="upload-trouble">${t('upload.locked_text')}
      <button type="button" class="button" onClick=${() => resumeItem(item)}>${t('upload.unlock')}</button></p>`;
  }
  if (state === 'conflict') {
    return html`<p class="upload-trouble">${t('upload.conflict_text')}
      <button type="button" class="button" onClick=${() => resumeItem(item, { replace: true })}>${t('upload.replace')}</button>
      <button type="button" class="button" onClick=${() => resumeItem(item, { name: otherName(item.name), replace: false })}>${t('upload.keep_both')}</button></p>`;
  }
  if (state === 'failed' && error) {
    return html`<p class="upload-trouble" role="alert">${meaning(error)} ${error.detail}
      ${error.requestId && html`<span>${t('error.request')} <code>${error.requestId}</code></span>`}</p>`;
  }
  return null;
}

/** `film.mp4` beside `film.mp4` is `film (2).mp4`. @param {string} name */
function otherName(name) {
  const [, stem, number, ending] = /^(.*?)(?: \((\d+)\))?(\.[^./]*)?$/s.exec(name);
  return `${stem} (${Number(number ?? 1) + 1})${ending ?? ''}`;
}
