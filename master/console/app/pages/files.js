/** Folders and files: look around, search, choose, and do something with what was chosen. */

import { query, read } from '../api.js';
import { useData } from '../data.js';
import { bytes, count, dateTime, folderOf, baseName } from '../format.js';
import { classes, html, useEffect, useRef, useState } from '../html.js';
import { deleteFiles, renameFile } from '../parts/acts.js';
import { Check, Copies, Empty, PageHead, Skeleton } from '../parts/basics.js';
import { Crumbs } from '../parts/crumbs.js';
import { ErrorNote } from '../parts/errors.js';
import { Icon, iconOf } from '../parts/icons.js';
import { playable } from '../parts/player.js';
import { go, href } from '../router.js';
import { may, session } from '../session.js';
import { t } from '../texts.js';
import { Drop } from '../uploads/drop.js';

const PAGE = 100;
/** So long after the last key a search begins. */
const TYPING_MILLIS = 250;
const CHANGES = new Set(['stored', 'changed', 'renamed', 'deleted', 'restored', 'purged']);
/** The page before each, as it was come by. @type {Map<string, string>} */
const before = new Map();

/** @param {{ here: import('../router.js').Place }} props */
export function Files({ here }) {
  const folder = here.rest === '' ? session.get().info.prefix ?? '' : here.rest;
  const { search = '', sort = 'name', after = '' } = here.query;
  const path = `v1/files${query({ prefix: folder, delimiter: search ? '' : '/', search, sort: sort === 'name' ? '' : sort, after, limit: PAGE, copies: 1 })}`;
  const { data, error, loading, reload } = useData(path, (signal) => read(path, { signal }), {
    on: (event) => CHANGES.has(event.kind) && [event.name, event.from, event.to].some((name) => name?.startsWith(folder)),
    every: 60_000,
  });
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  useEffect(() => setChosen(new Set()), [path]);
  const files = data?.files ?? [];
  const picked = files.filter((file) => chosen.has(file.name));
  const to = (change) => href('files', folder, { search, sort: sort === 'name' ? '' : sort, ...change });

  return html`<${Drop} folder=${folder}>
    <${PageHead} title=${folder === '' ? t('page.files') : baseName(folder).replace(/\/$/, '')} crumbs=${html`<${Crumbs} folder=${folder} />`}>
      ${may('write') && html`<a class="button button-main" href=${href('uploads', '', { to: folder })}><${Icon} name="uploads" />${t('files.upload')}</a>`}
    <//>
    <div class="tools">
      <${Search} key=${folder} search=${search} folder=${folder} go=${(text) => go(to({ search: text }), { replace: search !== '' })} />
      <${Sorting} sort=${sort} choose=${(by) => go(to({ sort: by === 'name' ? '' : by }))} />
    </div>
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${picked.length > 0 && html`<${Chosen} files=${picked} clear=${() => setChosen(new Set())} reload=${reload} />`}
    ${!data && loading && html`<div class="card card-flush"><${Skeleton} lines=${8} /></div>`}
    ${data && html`<${Table} data=${data} sort=${sort} to=${to} chosen=${chosen} choose=${setChosen} reload=${reload} search=${search} busy=${loading} />
      <${Pager} next=${data.next} after=${after} to=${to} />`}
  <//>`;
}

/** @param {{ search: string, folder: string, go: (text: string) => void }} props */
function Search({ search, folder, go: find }) {
  const [text, setText] = useState(search);
  const box = useRef(null);
  useEffect(() => {
    if (text === search) return undefined;
    const timer = setTimeout(() => find(text), TYPING_MILLIS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => {
    const focus = (event) => {
      const typing = event.target.closest?.('input, textarea, select, dialog');
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || typing) return;
      event.preventDefault();
      box.current.focus();
    };
    addEventListener('keydown', focus);
    return () => removeEventListener('keydown', focus);
  }, []);
  const label = folder === '' ? t('files.search') : t('files.search_in', { folder });
  return html`<div class="search" role="search"><${Icon} name="search" />
    <input ref=${box} type="search" aria-label=${label} placeholder=${label} value=${text}
      autocomplete="off" spellcheck="false" onInput=${(event) => setText(event.target.value)} /><kbd aria-hidden="true">/</kbd></div>`;
}

/** For narrow screens, where the heads of columns are not shown. */
function Sorting({ sort, choose }) {
  return html`<label class="sorting"><span class="off-screen">${t('files.sort')}</span>
    <select value=${sort} onChange=${(event) => choose(event.target.value)}>
      ${['name', '-name', 'size', '-size', 'modified', '-modified'].map((by) => html`<option key=${by} value=${by}>${t(`sort.${by}`)}</option>`)}
    </select></label>`;
}

/** What can be done with what is chosen. */
function Chosen({ files, clear, reload }) {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const remove = async () => {
    clear();
    await deleteFiles(files, reload);
  };
  return html`<div class="chosen" role="region" aria-label=${t('files.chosen_label')}>
    <span role="status">${t('files.chosen', { count: files.length, n: count(files.length), bytes: bytes(size) })}</span>
    ${may('write') && may('delete') && files.length === 1 && html`<button type="button" class="button" onClick=${() => renameFile(files[0], () => { clear(); reload(); })}>
      <${Icon} name="edit" />${t('action.rename')}</button>`}
    ${may('delete') && html`<button type="button" class="button button-danger" onClick=${remove}><${Icon} name="trash" />${t('action.delete')}</button>`}
    <button type="button" class="button-icon" aria-label=${t('files.choose_none')} onClick=${clear}><${Icon} name="close" /></button>
  </div>`;
}

function Table({ data, sort, to, chosen, choose, reload, search, busy }) {
  const { files, folders } = data;
  if (files.length === 0 && folders.length === 0) {
    return search
      ? html`<${Empty} icon="search" title=${t('files.nothing_found')} text=${t('files.nothing_found_text', { search })} />`
      : html`<${Empty} icon="folder" title=${t('files.empty')} text=${may('write') ? t('files.empty_text') : ''} />`;
  }
  const all = files.length > 0 && files.every((file) => chosen.has(file.name));
  const change = (name, now) => {
    const next = new Set(chosen);
    if (now) next.add(name);
    else next.delete(name);
    choose(next);
  };
  return html`<div class="card card-flush"><table class="files" aria-busy=${busy ? 'true' : undefined}>
    <caption class="off-screen">${t('files.caption')}</caption>
    <thead><tr>
      <th class="cell-check"><${Check} checked=${all} mixed=${!all && chosen.size > 0} label=${t('files.choose_all')}
        onChange=${(now) => choose(new Set(now ? files.map((file) => file.name) : []))} /></th>
      <${Head} by="name" sort=${sort} to=${to} />
      <${Head} by="size" sort=${sort} to=${to} number />
      <${Head} by="modified" sort=${sort} to=${to} wide />
      <th scope="col" class="cell-wide cell-sum">${t('files.checksum')}</th>
      <th scope="col" class="cell-copies">${t('files.copies')}</th>
      <th class="cell-acts"><span class="off-screen">${t('files.acts')}</span></th>
    </tr></thead>
    <tbody>
      ${folders.map((folder) => html`<${Folder} key=${folder} name=${folder} />`)}
      ${files.map((file) => html`<${Row} key=${file.name} file=${file} full=${search !== ''} chosen=${chosen.has(file.name)}
        choose=${(now) => change(file.name, now)} reload=${reload} />`)}
    </tbody>
  </table></div>`;
}

/** The head of a column by which one can sort. */
function Head({ by, sort, to, number, wide }) {
  const down = sort === `-${by}`;
  const is = down || sort === by;
  const first = by === 'name' ? by : `-${by}`; // the largest and the newest are looked for
  const next = sort === first ? first.replace(/^-|^/, (sign) => (sign ? '' : '-')) : first;
  return html`<th scope="col" class=${classes(number && 'number', wide && 'cell-wide')} aria-sort=${is ? (down ? 'descending' : 'ascending') : undefined}>
    <a class="sort" href=${to({ sort: next === 'name' ? '' : next })}>${t(`files.${by}`)}<span class=${classes('sort-mark', is && (down ? 'sort-down' : 'sort-up'))} aria-hidden="true"></span></a></th>`;
}

function Folder({ name }) {
  return html`<tr class="row-folder"><td class="cell-check"></td>
    <th scope="row" class="cell-name"><a class="name" href=${href('files', name)}><span class="name-icon name-folder"><${Icon} name="folder" /></span>
      <span class="name-text">${baseName(name).replace(/\/$/, '')}</span></a></th>
    <td class="number"></td><td class="cell-wide"></td><td class="cell-wide cell-sum"></td><td></td><td class="cell-acts"></td></tr>`;
}

function Row({ file, full, chosen, choose, reload }) {
  const name = full ? file.name : baseName(file.name);
  return html`<tr class=${classes(chosen && 'row-chosen')} data-name=${file.name}>
    <td class="cell-check"><${Check} checked=${chosen} label=${t('files.choose', { name })} onChange=${choose} /></td>
    <th scope="row" class="cell-name"><a class="name" href=${href('file', file.name)}><span class="name-icon"><${Icon} name=${iconOf(file.content_type)} /></span>
      <span class="name-text">${full && html`<span class="name-folder-part">${folderOf(name)}</span>`}${baseName(name)}</span></a></th>
    <td class="number">${bytes(file.size)}</td>
    <td class="cell-wide cell-soft"><time datetime=${file.modified}>${dateTime(file.modified)}</time></td>
    <td class="cell-wide cell-sum"><code title=${`CRC-32 ${file.crc32}\nBLAKE3 ${file.blake3}`}>${file.crc32}</code></td>
    <td><${Copies} copies=${file.copies} /></td>
    <td class="cell-acts">
      ${playable(file.content_type) && html`<a class="button-icon" href=${href('file', file.name)} aria-label=${t('files.play', { name })} title=${t('action.play')}><${Icon} name="play" /></a>`}
      <a class="button-icon" href=${`v1/files/${file.name.split('/').map(encodeURIComponent).join('/')}?download=1`} download aria-label=${t('files.download', { name })} title=${t('action.download')}><${Icon} name="download" /></a>
      ${may('delete') && html`<button type="button" class="button-icon" aria-label=${t('files.delete', { name })} title=${t('action.delete')} onClick=${() => deleteFiles([file], reload)}><${Icon} name="trash" /></button>`}
    </td>
  </tr>`;
}

function Pager({ next, after, to }) {
  if (!next && !after) return null;
  const forward = () => before.set(next, after);
  return html`<nav class="pager" aria-label=${t('pager.label')}>
    ${after ? html`<a class="button" href=${to({ after: before.get(after) ?? '' })}><${Icon} name="previous" />${t('pager.previous')}</a>` : html`<span></span>`}
    ${next && html`<a class="button" href=${to({ after: next })} onClick=${forward}>${t('pager.next')}<${Icon} name="next" /></a>`}
  </nav>`;
}
