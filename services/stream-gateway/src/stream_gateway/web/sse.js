// Server-sent events from bytes, as https://html.spec.whatwg.org/multipage/server-sent-events.html has it.

/** @typedef {{data: string, id: string}} Frame */

export class EventDecoder {
  #text = new TextDecoder();
  #rest = "";
  #data = [];
  #id;

  /** @param {string} lastId what `id` stands at until a frame sets it */
  constructor(lastId) {
    this.#id = lastId;
    /** The server's wish, in ms, for how long to wait before coming back. @type {number|null} */
    this.retry = null;
  }

  get lastId() {
    return this.#id;
  }

  /**
   * Frames that these bytes complete; a frame without data only moves `lastId`.
   * @param {Uint8Array} bytes
   * @returns {Frame[]}
   */
  push(bytes) {
    const lines = (this.#rest + this.#text.decode(bytes, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    const frames = [];
    for (const line of lines) {
      if (line !== "") this.#field(line);
      else if (this.#data.length > 0) {
        frames.push({ data: this.#data.join("\n"), id: this.#id });
        this.#data = [];
      }
    }
    return frames;
  }

  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
