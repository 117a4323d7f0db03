// Computes sounds off the page's thread: ONNX Runtime's WebAssembly, which every browser computes alike.

import * as ort from "./ort/ort.wasm.min.mjs";

/** @type {Promise<any>} */
let session;

/** Threads need memory that is shared, which browsers grant to pages of hosts that send COOP and COEP. */
const threads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 2) : 1;

/** @param {string} address of the model */
async function open(address) {
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const response = await fetch(address);
  if (!response.ok) throw new Error(`the model cannot be had: ${response.status}`);
  return ort.InferenceSession.create(new Uint8Array(await response.arrayBuffer()), { executionProviders: ["wasm"] });
}

/** @param {{count: number, latents: Float32Array, labels: Float32Array | null}} ask */
async function compute({ count, latents, labels }) {
  /** @type {Record<string, any>} */
  const inputs = { latents: new ort.Tensor("float32", latents, [count, latents.length / count]) };
  if (labels) inputs.labels = new ort.Tensor("float32", labels, [count, labels.length / count]);
  const { audio } = await (await session).run(inputs);
  return { audio: /** @type {Float32Array} */ (audio.data), shape: audio.dims };
}

self.onmessage = async ({ data: { id, address, ask } }) => {
  try {
    if (address) {
      session = open(address);
      await session;
      self.postMessage({ id, answer: { threads } });
    } else {
      const answer = await compute(ask);
      self.postMessage({ id, answer }, { transfer: [answer.audio.buffer] });
    }
  } catch (error) {
    self.postMessage({ id, problem: String(error instanceof Error ? error.message : error) });
  }
};
