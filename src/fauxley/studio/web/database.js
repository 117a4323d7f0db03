// What the browser keeps: sounds, the shelf and the session, in IndexedDB; nothing where that is not allowed.

/** @import { Sound } from "./types.js" */

const STORES = /** @type {const} */ (["sounds", "shelf", "session"]);
/** @typedef {typeof STORES[number]} StoreName */

export class Database {
  /** @param {IDBDatabase | null} database */
  constructor(database) {
    this.#database = database;
  }

  #database;

  /** @returns {Promise<Database>} */
  static open() {
    return new Promise((resolve) => {
      try {
        const request = indexedDB.open("fauxley-studio", 1);
        request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name));
        request.onsuccess = () => resolve(new Database(request.result));
        request.onerror = () => resolve(new Database(null));
      } catch {
        resolve(new Database(null));
      }
    });
  }

  /** @param {StoreName} store @param {string} key @returns {Promise<any>} */
  get(store, key) {
    return this.#ask(store, "readonly", (objects) => objects.get(key));
  }

  /** @param {StoreName} store @returns {Promise<string[]>} */
  async keys(store) {
    return ((await this.#ask(store, "readonly", (objects) => objects.getAllKeys())) ?? []).map(String);
  }

  /** @param {StoreName} store @returns {Promise<any[]>} */
  async all(store) {
    return (await this.#ask(store, "readonly", (objects) => objects.getAll())) ?? [];
  }

  /** @param {StoreName} store @param {string} key @param {any} value */
  put(store, key, value) {
    return this.#ask(store, "readwrite", (objects) => objects.put(value, key));
  }

  /** @param {StoreName} store @param {string} key */
  remove(store, key) {
    return this.#ask(store, "readwrite", (objects) => objects.delete(key));
  }

  /**
   * @template Result
   * @param {StoreName} store @param {IDBTransactionMode} mode @param {(objects: IDBObjectStore) => IDBRequest<Result>} ask
   * @returns {Promise<Result | undefined>}
   */
  #ask(store, mode, ask) {
    return new Promise((resolve) => {
      if (!this.#database) return resolve(undefined);
      try {
        const request = ask(this.#database.transaction(store, mode).objectStore(store));
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => resolve(undefined);
      } catch {
        resolve(undefined);  // full, or closed by the browser
      }
    });
  }
}

/** @param {any} value @returns {Sound | null} */
export function asSound(value) {
  const { id, channels, sampleRate, facts } = value ?? {};
  const good = typeof id === "string" && Array.isArray(channels) && channels.length > 0 && sampleRate > 0 && facts
    && channels.every((each) => each instanceof Float32Array && each.length === channels[0].length);
  return good ? { id, channels, sampleRate, facts } : null;
}
