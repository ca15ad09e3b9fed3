/** What is done to files, wherever they are shown: always said, and taken back where that can be. */

import { act, changeId, pathOf, send } from '../api.js';
import { baseName, count, folderOf } from '../format.js';
import { t } from '../texts.js';
import { ask } from './dialogs.js';
import { complain, say } from './toasts.js';

/** So many requests at a time. */
const AT_A_TIME = 4;
/** More are asked about before they go. */
const UNASKED = 20;

/**
 * Does `work` to all, a few at a time, and gives what failed.
 * @template T
 * @param {T[]} all @param {(one: T) => Promise<unknown>} work
 * @returns {Promise<{ done: T[], errors: Error[] }>}
 */
async function each(all, work) {
  const left = [...all];
  const result = { done: [], errors: [] };
  const worker = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      try {
        await work(one);
        result.done.push(one);
      } catch (error) {
        result.errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return result;
}

/** A change with an id of its own: sent again, it is done once. */
const once = () => ({ 'x-mdfs-request-id': changeId() });

/**
 * Moves files to the trash, and offers the way back. Of files that have been replaced meanwhile, the version
 * that was seen is what goes, or nothing.
 * @param {{ name: string, etag?: string }[]} files @param {() => void} after
 */
export function deleteFiles(files, after) {
  const go = async () => {
    const headers = (file) => ({ ...once(), ...(file.etag ? { 'If-Match': file.etag } : {}) });
    const { done, errors } = await each(files, (file) => act('DELETE', `v1/files/${pathOf(file.name)}`, undefined, { headers: headers(file) }));
    after();
    if (errors.length > 0) complain(errors[0], t('delete.failed', { count: errors.length, n: count(errors.length) }));
    if (done.length === 0) return;
    const what = done.length === 1 ? baseName(done[0].name) : '';
    const text = what ? t('delete.done_one', { name: what }) : t('delete.done', { count: done.length, n: count(done.length) });
    say(text, { label: t('action.undo'), run: () => restoreFiles(done, after) });
  };
  if (files.length <= UNASKED) return go();
  ask({
    title: t('delete.ask', { count: files.length, n: count(files.length) }), text: t('delete.ask_text'),
    confirm: t('action.delete'), danger: true, run: go,
  });
  return undefined;
}

/** Brings files back from the trash. @param {{ name: string }[]} files @param {() => void} after */
export async function restoreFiles(files, after) {
  const { done, errors } = await each(files, (file) => act('POST', `v1/files/${pathOf(file.name)}?undelete`, undefined, { headers: once() }));
  after();
  if (errors.length > 0) complain(errors[0], t('restore.failed', { count: errors.length, n: count(errors.length) }));
  if (done.length === 1) say(t('restore.done_one', { name: baseName(done[0].name) }));
  else if (done.length > 1) say(t('restore.done', { count: done.length, n: count(done.length) }));
}

/** Deletes for good, after a question. @param {{ name: string }} file @param {() => void} after */
export function purgeFile(file, after) {
  ask({
    title: t('purge.ask', { name: baseName(file.name) }), text: t('purge.ask_text'), confirm: t('purge.confirm'), danger: true,
    run: async () => {
      await send('DELETE', `v1/files/${pathOf(file.name)}?purge`, { headers: once() });
      after();
      say(t('purge.done', { name: baseName(file.name) }));
    },
  });
}

/** Asks for a new name, within the folder or elsewhere. @param {{ name: string }} file @param {(to: string) => void} after */
export function renameFile(file, after) {
  ask({
    title: t('rename.ask', { name: baseName(file.name) }), confirm: t('action.rename'),
    field: { label: t('rename.label'), value: file.name, hint: t('rename.hint') },
    run: async (value) => {
      const to = value.endsWith('/') ? value + baseName(file.name) : value;
      if (to === file.name) return;
      await act('POST', 'v1/rename', { from: file.name, to }, { headers: once() });
      after(to);
      const back = async () => {
        try {
          await act('POST', 'v1/rename', { from: to, to: file.name }, { headers: once() });
          after(file.name);
        } catch (error) {
          complain(error, t('rename.not_back'));
        }
      };
      const moved = folderOf(to) !== folderOf(file.name);
      say(t('rename.done', { name: moved ? to : baseName(to) }), { label: t('action.undo'), run: back });
    },
  });
}
