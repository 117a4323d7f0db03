// The few requests that the page makes. Addresses are relative, so that any prefix of a proxy will do.

const WAITS = [500, 1000, 2000, 4000, 8000, 15000];  // ms between attempts

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// What the browser remembers; in memory alone where it may not (private windows of some browsers).
class Memory {
  #prefix = "fauxley-listen";
  #own = new Map();

  get(key) {
    try {
      return localStorage.getItem(`${this.#prefix}:${key}`) ?? this.#own.get(key) ?? null;
    } catch {
      return this.#own.get(key) ?? null;
    }
  }

  set(key, value) {
    this.#own.set(key, value);
    try {
      if (value === null) localStorage.removeItem(`${this.#prefix}:${key}`);
      else localStorage.setItem(`${this.#prefix}:${key}`, value);
    } catch { /* then only as long as the page is open */ }
  }
}

export class Api {
  constructor(onWaiting) {
    this.memory = new Memory();
    this.onWaiting = onWaiting;
    this.study = null;
  }

  async open() {
    this.study = await this.#json("GET", "api/study");
    return this.study;
  }

  get token() { return this.memory.get(`${this.study.id}:token`); }
  set token(value) { this.memory.set(`${this.study.id}:token`, value); }

  // An answer that was given but not acknowledged survives closing the page, and is sent again under the same ID.
  get #pending() { return JSON.parse(this.memory.get(`${this.study.id}:pending`) ?? "null"); }
  set #pending(value) { this.memory.set(`${this.study.id}:pending`, value && JSON.stringify(value)); }

  async begin() {
    const { token, step } = await this.#json("POST", "api/listeners", { agreed: true });
    this.token = token;
    return step;
  }

  async step() {
    if (this.#pending) return this.#send();
    return this.#json("GET", "api/step");
  }

  async answer(trial, value, plays) {
    this.#pending = { trial, answer_id: newId(), value, plays: Math.min(plays, 1000) };
    return this.#send();
  }

  async sound(token) {
    const response = await this.#request("GET", `api/sounds/${encodeURIComponent(token)}`);
    return response.blob();
  }

  async #send() {
    try {
      const step = await this.#json("POST", "api/answers", this.#pending);
      this.#pending = null;
      return step;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#pending = null;  // answered already, perhaps in another tab
      if (error.status === 401) throw error;
      return this.#json("GET", "api/step");
    }
  }

  async #json(method, path, body) {
    return (await this.#request(method, path, body)).json();
  }

  // Try until the server has answered; only what it understood and refused is an error.
  async #request(method, path, body) {
    for (let attempt = 0; ; attempt++) {
      try {
        const headers = {};
        if (this.study && this.token) headers["x-listener"] = this.token;
        if (body) headers["content-type"] = "application/json";
        const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
        if (response.ok) {
          this.onWaiting(false);
          return response;
        }
        if (response.status < 500 && response.status !== 429 && response.status !== 408) {
          throw new Refused(response.status, (await response.json().catch(() => ({}))).detail ?? "refused");
        }
      } catch (error) {
        if (error instanceof Refused) throw error;
      }
      this.onWaiting(true);
      await new Promise((wake) => setTimeout(wake, WAITS[Math.min(attempt, WAITS.length - 1)]));
    }
  }
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));  // randomUUID is missing on plain http
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
