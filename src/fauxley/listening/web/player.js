// Plays sounds through one <audio> element: phones let an element play on its own once a finger has started it.

export class Player {
  #audio = new Audio();
  #blobs = new Map();  // token → promise of an object URL
  #current = null;

  constructor(api) {
    this.api = api;
    this.#audio.preservesPitch = true;
    this.#audio.addEventListener("ended", () => this.#finish(true));
    this.#audio.addEventListener("error", () => this.#finish(false));
  }

  // Fetch sounds ahead, and let go of those that are neither needed now nor next.
  keep(tokens) {
    for (const [token, url] of this.#blobs) {
      if (!tokens.includes(token)) {
        this.#blobs.delete(token);
        url.then((value) => URL.revokeObjectURL(value), () => {});
      }
    }
    for (const token of tokens) this.load(token).catch(() => {});
  }

  load(token) {
    if (!this.#blobs.has(token)) {
      const url = this.api.sound(token).then((blob) => URL.createObjectURL(blob));
      this.#blobs.set(token, url);
      url.catch(() => this.#blobs.delete(token));
    }
    return this.#blobs.get(token);
  }

  // Play one sound to its end: true; stopped by another, or not allowed to start by itself: false.
  play(url, onProgress) {
    this.stop();
    return new Promise((resolve) => {
      const current = { resolve, onProgress, frame: 0 };
      this.#current = current;
      const draw = () => {
        if (this.#current !== current) return;
        const { currentTime, duration } = this.#audio;
        onProgress(duration > 0 ? Math.min(1, currentTime / duration) : 0);
        current.frame = requestAnimationFrame(draw);
      };
      this.#audio.src = url;
      this.#audio.play().then(draw, () => this.#current === current && this.#finish(false));
    });
  }

  stop() {
    this.#audio.pause();
    this.#finish(false);
  }

  #finish(heard) {
    const current = this.#current;
    if (!current) return;
    this.#current = null;
    cancelAnimationFrame(current.frame);
    current.onProgress(0);
    current.resolve(heard);
  }
}
