// Where sounds come from: the server. Addresses are relative, so that any prefix of a proxy will do.

/** @import { Engine, Facts, Settings, Sound, Studio } from "./types.js" */

const POLL = 250;  // ms between two looks at a search

/** What the server understood and refused, or could not do; the message is for people. */
export class EngineError extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** A number for a seed. */
export const anySeed = () => crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;

/** A name for what is told apart from all else. */
export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @returns {Promise<Engine>} */
export async function openEngine() {
  const server = new Server(takeToken());
  const studio = /** @type {Studio} */ (await (await server.ask("GET", "api/studio")).json());

  /** @param {string} path @param {object} body */
  const sounds = async (path, body) => unpack(await (await server.ask("POST", path, body)).arrayBuffer());

  return {
    studio,
    generate: (ask) => sounds("api/generate", ask),
    render: (ask) => sounds("api/generate", ask),
    vary: (ask) => sounds("api/vary", ask),
    morph: (ask) => sounds("api/morph", ask),
    place: async (ask) => (await sounds("api/place", ask))[0],

    async knobs(model, find, onShare, signal) {
      const path = `api/knobs/${model}`;
      let said = await (await server.ask(find ? "POST" : "GET", path)).json();
      while (said.state === "waiting" || said.state === "running") {
        onShare(said.share, said.stage);
        await new Promise((wake) => setTimeout(wake, POLL));
        said = await (await server.ask(signal.aborted ? "DELETE" : "GET", path)).json();
        if (signal.aborted) throw new EngineError("cancelled");
      }
      if (said.state === "failed") throw new EngineError(said.problem);
      return said.state === "done" ? said.knobs : null;
    },

    async record(file, model) {
      const query = new URLSearchParams({ name: file.name, model });
      const response = await server.ask("POST", `api/recordings?${query}`, file);
      const [sound] = unpack(await response.arrayBuffer());
      return { sound, recording: response.headers.get("x-recording") ?? "", remark: remarkOf(response) };
    },

    async invert(ask, onShare, signal) {
      let search = await (await server.ask("POST", "api/invert", ask)).json();
      const path = `api/invert/${search.id}`;
      while (search.state === "waiting" || search.state === "running") {
        await new Promise((wake) => setTimeout(wake, POLL));
        search = await (await server.ask(signal.aborted ? "DELETE" : "GET", path)).json();
        if (signal.aborted) throw new EngineError("cancelled");
        onShare(search.share, search.stage);
      }
      if (search.state !== "done") throw new EngineError(search.problem || search.state);
      const [sound] = unpack(await (await server.ask("GET", `${path}/sound`)).arrayBuffer());
      return { sound, verdict: search.verdict };
    },

    async shelve(name, sound, recording) {
      if (!sound.facts.latent.length && !recording) return null;
      return (await server.ask("POST", "api/shelf", toKeep(name, sound, recording))).json();
    },

    async unshelve(file) {
      await server.ask("DELETE", `api/shelf/${encodeURIComponent(file)}`);
    },

    async kit({ format, name, sounds }) {
      const body = { format, name, sounds: sounds.map((each) => ({ ...toKeep(each.name, each.sound, each.recording), settings: toShape(each.settings) })) };
      const response = await server.ask("POST", "api/export", body);
      return { archive: await response.blob(), remark: remarkOf(response) };
    },

    folder: async () => (await server.ask("GET", "api/folder")).json(),
    load: async (file) => unpack(await (await server.ask("GET", `api/folder/${file.id}`)).arrayBuffer())[0],
    keep: async (files) => (await server.ask("POST", "api/keepers", { sounds: files })).json(),

    address(sound, name) {
      const { model, latent, labels } = sound.facts;
      if (!latent.length || Object.keys(labels).length > 1) return "";
      const query = new URLSearchParams({ model, latent: base64url(latent), label: Object.keys(labels)[0] ?? "", name });
      if (server.token) query.set("token", server.token);
      return new URL(`api/wav?${query}`, document.baseURI).href;
    },
  };
}

/** What the server needs to make a sound again. @param {string} name @param {Sound} sound @param {string} [recording] */
function toKeep(name, { facts }, recording) {
  const { model, latent, seed, labels, made } = facts;
  return latent.length ? { name, model, latent, seed, labels, made } : { name, recording };
}

/** The knobs of a pad that a kit can have: it has no room. @param {Settings} settings */
function toShape({ gain, pitch, attack, decay, tone, pan, choke }) {
  return { gain, pitch, attack, decay, tone, pan, choke };
}

/** What is odd about an answer. @param {Response} response */
const remarkOf = (response) => decodeURIComponent(response.headers.get("x-remark") ?? "");

/** The token that the address holds, kept for as long as the tab is open and taken out of sight. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  try {
    if (given !== null) sessionStorage.setItem("fauxley-token", given);
    return given ?? sessionStorage.getItem("fauxley-token") ?? "";
  } catch {
    return given ?? "";
  }
}

class Server {
  /** @param {string} token */
  constructor(token) {
    this.token = token;
  }

  /**
   * @param {string} method @param {string} path @param {object | File} [body]
   * @returns {Promise<Response>}
   */
  async ask(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (this.token) headers["x-fauxley-token"] = this.token;
    const isFile = body instanceof File;
    if (body) headers["content-type"] = isFile ? "application/octet-stream" : "application/json";
    let response;
    try {
      response = await fetch(path, { method, headers, body: isFile ? body : body && JSON.stringify(body) });
    } catch {
      throw new EngineError("The studio does not answer. Is ‘fauxley studio’ still running?");
    }
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    const detail = String(said.detail ?? `the studio answered ${response.status}`);
    throw new EngineError(isFile ? detail : sentence(detail), response.status);
  }
}

/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * The sounds of an answer, see fauxley.studio.wire.
 * @param {ArrayBuffer} buffer
 * @returns {Sound[]}
 */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const { channels, samples, sample_rate: sampleRate } = header;
  return header.sounds.map((/** @type {Facts} */ facts, /** @type {number} */ place) => ({
    id: newId(),
    sampleRate,
    facts,
    channels: Array.from({ length: channels }, (_, channel) => {
      const start = 4 + length + 4 * samples * (place * channels + channel);
      return new Float32Array(buffer.slice(start, start + 4 * samples));
    }),
  }));
}

/** @param {number[]} numbers */
function base64url(numbers) {
  const bytes = new Uint8Array(new Float32Array(numbers).buffer);
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
