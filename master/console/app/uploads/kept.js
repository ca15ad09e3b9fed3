/** What is remembered of uploads in the browser, so that they go on after a reload. Never the bytes. */

const NAME = 'mdfs-uploads';
const STORE = 'uploads';

/**
 * @typedef {{ id: string, owner: string, name: string, size: number, modified: number, type: string,
 *   uploadId: string | null, beginId: string | null, ended: string[], chunkSize: number, crcs: Record<number, number>, replace: boolean,
 *   handle: FileSystemFileHandle | null }} Kept
 *   `owner` is who began it, on which cluster; `beginId` makes it safe to ask again for an upload; `ended` are
 *   the server's uploads that are of no more use, and not removed yet; `handle` finds the file again, where browsers have that
 */

/** @type {Promise<IDBDatabase> | null} */
let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest | void} work */
async function within(mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, mode);
    const request = work(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Private windows may have no memory: uploads work there, and do not outlive a reload. */
async function kindly(promise) {
  try {
    return await promise;
  } catch (error) {
    console.warn('uploads are not remembered', error);
    return undefined;
  }
}

/** @param {Kept[]} entries */
export const keep = (entries) => kindly(within('readwrite', (store) => {
  for (const entry of entries) store.put(entry);
}));

/** @param {string[]} ids */
export const forget = (ids) => kindly(within('readwrite', (store) => {
  for (const id of ids) store.delete(id);
}));

/** @param {string} owner @returns {Promise<Kept[]>} */
export async function remembered(owner) {
  const all = await kindly(within('readonly', (store) => store.getAll()));
  return (all ?? []).filter((entry) => entry.owner === owner);
}
