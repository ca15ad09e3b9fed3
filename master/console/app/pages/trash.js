/** What was deleted or replaced, and can be brought back. */

import { query, read } from '../api.js';
import { useData } from '../data.js';
import { ago, bytes, dateTime } from '../format.js';
import { html, useState } from '../html.js';
import { purgeFile, restoreFiles } from '../parts/acts.js';
import { Empty, PageHead, Skeleton } from '../parts/basics.js';
import { ErrorNote } from '../parts/errors.js';
import { Icon } from '../parts/icons.js';
import { may } from '../session.js';
import { t } from '../texts.js';

const PAGE = 100;

export function Trash() {
  const [steps, setSteps] = useState(['']);
  const after = steps.at(-1);
  const path = `v1/trash${query({ limit: PAGE, after })}`;
  const { data, error, loading, reload } = useData(path, (signal) => read(path, { signal }), {
    on: (event) => ['stored', 'deleted', 'restored', 'purged', 'renamed'].includes(event.kind), every: 60_000,
  });
  return html`<${PageHead} title=${t('page.trash')} note=${t('trash.note')} />
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!data && loading && html`<div class="card card-flush"><${Skeleton} lines=${6} /></div>`}
    ${data && data.files.length === 0 && html`<${Empty} icon="trash" title=${t('trash.empty')} text=${t('trash.empty_text')} />`}
    ${data && data.files.length > 0 && html`<div class="card card-flush"><table class="files">
      <caption class="off-screen">${t('page.trash')}</caption>
      <thead><tr><th scope="col" class="cell-name">${t('files.name')}</th><th scope="col" class="number">${t('files.size')}</th>
        <th scope="col" class="cell-wide">${t('trash.deleted')}</th><th class="cell-acts"><span class="off-screen">${t('files.acts')}</span></th></tr></thead>
      <tbody>${data.files.map((file) => html`<tr key=${file.file_id} data-name=${file.name}>
        <th scope="row" class="cell-name"><span class="name"><span class="name-icon"><${Icon} name="file" /></span><span class="name-text">${file.name}</span></span></th>
        <td class="number">${bytes(file.size)}</td>
        <td class="cell-wide cell-soft"><time datetime=${file.deleted} title=${dateTime(file.deleted)}>${ago(file.deleted)}</time></td>
        <td class="cell-acts">
          ${may('write') && html`<button type="button" class="button-icon" title=${t('action.restore')} aria-label=${t('trash.restore', { name: file.name })} onClick=${() => restoreFiles([file], reload)}><${Icon} name="retry" /></button>`}
          ${may('delete') && html`<button type="button" class="button-icon" title=${t('purge.confirm')} aria-label=${t('trash.purge', { name: file.name })} onClick=${() => purgeFile(file, reload)}><${Icon} name="close" /></button>`}
        </td></tr>`)}</tbody>
    </table></div>
    <nav class="pager" aria-label=${t('pager.label')}>
      ${steps.length > 1 ? html`<button type="button" class="button" onClick=${() => setSteps(steps.slice(0, -1))}><${Icon} name="previous" />${t('pager.previous')}</button>` : html`<span></span>`}
      ${data.next && html`<button type="button" class="button" onClick=${() => setSteps([...steps, data.next])}>${t('pager.next')}<${Icon} name="next" /></button>`}
    </nav>`}`;
}
