/** One file: play it, hand it on, see that it is whole. */

import { pathOf, query, read } from '../api.js';
import { useData } from '../data.js';
import { baseName, bytes, count, dateTime, folderOf } from '../format.js';
import { html, useState } from '../html.js';
import { deleteFiles, renameFile } from '../parts/acts.js';
import { Card, Copies, Empty, PageHead, Skeleton, copyText } from '../parts/basics.js';
import { CopiesCard } from '../parts/copies-card.js';
import { Crumbs } from '../parts/crumbs.js';
import { ErrorNote } from '../parts/errors.js';
import { Icon } from '../parts/icons.js';
import { Player, playable } from '../parts/player.js';
import { LinkDialog, savePlaylist } from '../parts/share.js';
import { go, href } from '../router.js';
import { may } from '../session.js';
import { t } from '../texts.js';
import { Missing } from './missing.js';

/** What is larger is not shown by itself. */
const PICTURE_MOST_BYTES = 20 * 1024 * 1024;
const PICTURES = new Set(['image/png', 'image/jpeg', 'image/webp', 'image/gif', 'image/avif']);

/** @param {{ here: import('../router.js').Place }} props */
export const FilePage = ({ here }) => (here.rest === '' ? html`<${Missing} />` : html`<${File} name=${here.rest} />`);

/** @param {{ name: string }} props */
function File({ name }) {
  const about = (event) => [event.name, event.from, event.to].includes(name) || event.kind === 'damage' || event.kind === 'worker';
  const { data: file, error, loading, reload } = useData(`file ${name}`, (signal) => readFile(name, signal), { on: about, every: 60_000 });
  return html`
    <${PageHead} title=${baseName(name)} crumbs=${html`<${Crumbs} folder=${folderOf(name)} file />`}>
      ${file && html`<${Acts} file=${file} reload=${reload} />`}
    <//>
    ${error && error.code !== 'file_not_found' && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${error && error.code === 'file_not_found' && html`<${Empty} icon="file" title=${t('file.none')} text=${t('file.none_text')}>
      <a class="button" href=${href('files', folderOf(name))}>${t('file.folder')}</a> <a class="button" href=${href('trash')}>${t('page.trash')}</a><//>`}
    ${!file && loading && html`<${Skeleton} lines=${8} />`}
    ${file && !error && html`
      ${playable(file.content_type) && html`<${Player} key=${file.file_id} file=${file} />`}
      ${PICTURES.has(file.content_type) && file.size <= PICTURE_MOST_BYTES && html`<figure class="picture"><img src=${`v1/files/${pathOf(name)}`} alt=${baseName(name)} loading="lazy" /></figure>`}
      <div class="columns">
        <${Details} file=${file} />
        <${CopiesCard} key=${file.file_id} file=${file} />
      </div>`}`;
}

/** A file's own line of the listing: its name is the first of all that begin with it. */
async function readFile(name, signal) {
  const listing = await read(`v1/files${query({ prefix: name, limit: 1, copies: 1 })}`, { signal });
  const [file] = listing.files;
  if (file?.name !== name) throw Object.assign(new Error(), { code: 'file_not_found', status: 404 });
  return file;
}

function Acts({ file, reload }) {
  const [sharing, setSharing] = useState(false);
  const { name } = file;
  return html`
    <a class="button button-main" href=${`v1/files/${pathOf(name)}?download=1`} download><${Icon} name="download" />${t('action.download')}</a>
    <button type="button" class="button" onClick=${() => setSharing(true)}><${Icon} name="link" />${t('file.link')}</button>
    ${playable(file.content_type) && html`<button type="button" class="button" onClick=${() => savePlaylist(file)}><${Icon} name="film" />${t('file.playlist')}</button>`}
    ${may('write') && may('delete') && html`<button type="button" class="button" onClick=${() => renameFile(file, (to) => go(href('file', to), { replace: true }))}><${Icon} name="edit" />${t('action.rename')}</button>`}
    ${may('delete') && html`<button type="button" class="button button-danger" onClick=${() => deleteFiles([file], reload)}><${Icon} name="trash" />${t('action.delete')}</button>`}
    ${sharing && html`<${LinkDialog} file=${file} close=${() => setSharing(false)} />`}`;
}

function Details({ file }) {
  const attributes = Object.entries(file.attributes ?? {});
  return html`<${Card} title=${t('file.details')}><dl class="details">
    <${Detail} label=${t('files.size')} value=${`${bytes(file.size)} (${count(file.size)} B)`} />
    <${Detail} label=${t('file.type')} value=${file.content_type} />
    <${Detail} label=${t('file.stored')} value=${dateTime(file.modified)} />
    ${file.source_modified && html`<${Detail} label=${t('file.changed')} value=${dateTime(file.source_modified)} />`}
    <${Detail} label=${t('files.copies')} value=${html`<${Copies} copies=${file.copies} />`} />
    <${Detail} label=${t('file.chunks')} value=${t('file.chunks_of', { count: chunksOf(file), n: count(chunksOf(file)), bytes: bytes(file.chunk_size) })} />
    <${Sum} label="CRC-32" value=${file.crc32} />
    <${Sum} label="BLAKE3" value=${file.blake3} />
    <${Detail} label=${t('file.version')} value=${count(file.version)} />
    ${attributes.map(([key, value]) => html`<${Detail} key=${key} label=${key} value=${value} own />`)}
  </dl><//>`;
}

const chunksOf = (file) => Math.max(1, Math.ceil(file.size / file.chunk_size));

function Detail({ label, value, own }) {
  return html`<div class="detail"><dt>${own ? html`<code>${label}</code>` : label}</dt><dd>${value}</dd></div>`;
}

/** A checksum, whole, and ready to be copied. */
function Sum({ label, value }) {
  return html`<div class="detail"><dt>${label}</dt><dd class="detail-sum"><code>${value}</code>
    <button type="button" class="button-icon" aria-label=${t('copy.what', { what: label })} title=${t('copy.what', { what: label })} onClick=${() => copyText(value, label)}><${Icon} name="copy" /></button></dd></div>`;
}
