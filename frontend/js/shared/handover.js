// Files that one page hands over to another. They wait in IndexedDB, because a URL cannot carry files.
const DATABASE = "lookbook-handover";
const STORE = "files";

/** Keep files for the next page, in place of those that still wait. `files` are `{file, path}`. Rejects if the browser has no room. */
export async function handOver(files) {
  await inStore((store) => {
    store.clear();
    // A stored File loses the path that it had in its folder.
    for (const { file, path } of files) store.add({ file, path });
  });
}

/** The files that wait, as `{file, path}` in the order of handOver. They wait no longer. Resolves to [] if there are none. */
export async function takeOver() {
  let request;
  try {
    await inStore((store) => {
      request = store.getAll();
      store.clear();
    });
  } catch {
    return []; // A browser without IndexedDB has nothing that waits.
  }
  return request.result;
}

/** Run `use(store)` in one transaction, and resolve when it is complete. */
async function inStore(use) {
  const database = await opened();
  try {
    await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, "readwrite");
      transaction.addEventListener("complete", resolve);
      transaction.addEventListener("abort", () => reject(transaction.error));
      use(transaction.objectStore(STORE));
    });
  } finally {
    database.close();
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE, { autoIncrement: true }));
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}
