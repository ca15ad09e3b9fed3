/** Files as they are chosen or dropped, folders with all that is in them. */

/**
 * @typedef {{ path: string, file: File, handle: FileSystemFileHandle | null }} Picked
 *   `path` is the file's place below what was chosen
 */

/** More at once is a mistake, or work for `mdfs put -r`. */
export const MOST = 10_000;

/** @param {FileList | File[]} files @returns {Picked[]} */
export const fromInput = (files) => [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file, handle: null }));

/** Whether this browser hands out files so that they can be found again after a reload. */
export const canPick = () => 'showOpenFilePicker' in window;

/** Shows the browser's chooser. @returns {Promise<Picked[]>} none if it was closed */
export async function choose() {
  try {
    const handles = await window.showOpenFilePicker({ multiple: true });
    return Promise.all(handles.map(async (handle) => ({ path: handle.name, file: await handle.getFile(), handle })));
  } catch (error) {
    if (error.name === 'AbortError') return [];
    throw error;
  }
}

/**
 * What was dropped. Has to be called within the event: the browser forgets it afterwards.
 * @param {DataTransfer} transfer @returns {Promise<Picked[]>}
 */
export async function fromDrop(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === 'file');
  const roots = items.map((item) => {
    if (item.getAsFileSystemHandle) return item.getAsFileSystemHandle();
    return item.webkitGetAsEntry?.() ?? item.getAsFile();
  });
  const picked = [];
  for (const root of await Promise.all(roots)) {
    if (root instanceof File) picked.push({ path: root.name, file: root, handle: null });
    else if (root && 'kind' in root) await walkHandle(root, '', picked);
    else if (root) await walkEntry(root, picked);
  }
  return picked;
}

/** @param {FileSystemHandle} handle @param {string} folder @param {Picked[]} picked */
async function walkHandle(handle, folder, picked) {
  if (picked.length > MOST) return;
  const path = folder + handle.name;
  if (handle.kind === 'file') {
    picked.push({ path, file: await handle.getFile(), handle });
    return;
  }
  for await (const inside of handle.values()) await walkHandle(inside, `${path}/`, picked);
}

/** @param {FileSystemEntry} entry @param {Picked[]} picked */
async function walkEntry(entry, picked) {
  if (picked.length > MOST) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    picked.push({ path: entry.fullPath.replace(/^\//, ''), file, handle: null });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inside of some) await walkEntry(inside, picked);
  }
}
