// The record that the browser keeps of an upload that is not finished, so that it can go on after a reload.
const DATABASE = "lookbook-uploads";
const STORE = "uploads";

/**
 * Remember an upload: `{job, name, queue, handles}`. `queue` lists all its files as `{path, size}`; `handles` are those of the dropped files
 * and folders, if the browser gives any.
 */
export const remember = (upload) => inStore("readwrite", (store) => store.put(upload)).catch(() => {});

export const forget = (job) => inStore("readwrite", (store) => store.delete(job)).catch(() => {});

/** The remembered uploads. None if the browser has no IndexedDB. */
export const allRemembered = () => inStore("readonly", (store) => store.getAll()).catch(() => []);

/** Run `use` while no other window sends to this job. Resolves to null at once if one does. */
export function alone(job, use) {
  if (!navigator.locks) return use();
  return navigator.locks.request(`lookbook-upload-${job}`, { ifAvailable: true }, (lock) => (lock ? use() : null));
}

/** The handles of what is dropped. Call it before anything is awaited. Resolves to [] if the browser gives none. */
export async function handlesOf(transfer) {
  const handles = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.getAsFileSystemHandle?.());
  try {
    return (await Promise.all(handles)).filter(Boolean);
  } catch {
    return [];
  }
}

/** All files of remembered handles, as `{file, path}`. Asks the person for permission if necessary. Null if it is refused. */
export async function filesOf(handles) {
  const found = [];
  try {
    for (const handle of handles) {
      if ((await handle.requestPermission({ mode: "read" })) !== "granted") return null;
      await walk(handle, handle.name, found);
    }
  } catch {
    return null; // The folder is gone, or the browser has no permissions for files.
  }
  return found;
}

async function walk(handle, path, found) {
  if (handle.kind === "file") {
    found.push({ file: await handle.getFile(), path });
    return;
  }
  for await (const child of handle.values()) await walk(child, `${path}/${child.name}`, found);
}

async function inStore(mode, use) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = use(transaction.objectStore(STORE));
      transaction.addEventListener("complete", () => resolve(request.result));
      transaction.addEventListener("abort", () => reject(transaction.error));
    });
  } finally {
    database.close();
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE, { keyPath: "job" }));
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}
