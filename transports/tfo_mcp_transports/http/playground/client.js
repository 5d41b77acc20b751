// The MCP client: JSON-RPC over one WebSocket.
//
// Owns the socket, the table of requests in flight, progress and cancellation, and the responses to requests of the
// server. eras.js has the differences between the eras. Reports traffic and events by callbacks; knows no element of
// the page.

const SUBPROTOCOL = "mcp";
const CREDENTIAL = "base64url.bearer.authorization.tfo-mcp."; // browsers cannot set headers
const INTERNAL_ERROR = -32603;
const MOST_ROUNDS = 100; // of questions within one call
const MOST_PAGES = 1000;

function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The server has answered with a JSON-RPC error. */
export class RpcError extends Error {
  constructor({ code, message, data }) {
    super(String(message));
    this.code = code;
    this.data = data;
  }
}

/** The user has cancelled the request. */
export class Cancelled extends Error {}

/** The connection has ended before the response. */
export class Disconnected extends Error {}

export class Client {
  #socket;
  #era;
  #on;
  #logLevel;
  #inFlight = new Map();
  #lastId = 0;
  #session;
  #questions = new Map(); // id of the server's request -> AbortController
  #gone = new AbortController();

  /**
   * @param era one of ERAS
   * @param logLevel the minimum level of log messages from the server, or "" for none
   * @param on callbacks: traffic({direction, text, message, method}), notification(message), closed({opened, code,
   *   reason}), and question({method, params}, signal), which returns a promise of the result
   */
  constructor({ era, logLevel, on }) {
    this.#era = era;
    this.#logLevel = logLevel;
    this.#on = on;
  }

  /** The server's description, once connected: revision, capabilities, server, instructions. */
  get session() {
    return this.#session;
  }

  /** Connect with an API key or token if given, and initialize; return the session. */
  async connect(url, key) {
    const shown = key === "" ? [] : [CREDENTIAL + base64url(key)];
    this.#socket = new WebSocket(url, [SUBPROTOCOL, ...shown]);
    await new Promise((opened, failed) => {
      this.#socket.onopen = opened;
      this.#socket.onmessage = (event) => this.#receive(event.data);
      this.#socket.onclose = (event) => {
        failed(new Disconnected("The connection could not be opened"));
        this.#ended(event);
      };
    });
    this.#session = await this.#era.begin(this);
    await this.#era.setLogLevel(this, this.#logLevel, this.#session.capabilities);
    return this.#session;
  }

  /** Listen to changes of the lists; returns when the subscription ends. */
  watch() {
    return this.#era.watch(this, this.#session.capabilities);
  }

  async setLogLevel(level) {
    this.#logLevel = level;
    if (this.#session) await this.#era.setLogLevel(this, level, this.#session.capabilities);
  }

  /** Close the connection, and report no further events. */
  close() {
    this.#on = { ...this.#on, closed() {}, notification() {} };
    this.#socket?.close(1000);
    this.#fail(new Disconnected("The page closed the connection"));
  }

  /**
   * Send a request and return its result.
   *
   * @param signal cancels the request when it is aborted
   * @param onProgress takes the params of progress notifications; without it, none are requested
   */
  request(method, params = {}, { signal, onProgress } = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Disconnected("There is no connection"));
    this.#lastId += 1;
    const id = this.#lastId;
    const progressToken = onProgress && `progress-${id}`;
    return new Promise((resolve, reject) => {
      this.#inFlight.set(id, { method, resolve, reject, onProgress, progressToken });
      signal?.addEventListener("abort", () => this.#cancel(id), { once: true });
      const full = this.#era.params(params, { logLevel: this.#logLevel, progressToken });
      this.#send({ jsonrpc: "2.0", id, method, params: full }, method);
    });
  }

  /** Send a request like `request`, and answer what the server asks in between (input_required). */
  async call(method, params, options) {
    const signal = AbortSignal.any([options.signal, this.#gone.signal]);
    let given = params;
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const result = await this.request(method, given, options);
      if (result.resultType !== "input_required") return result;
      const inputResponses = {};
      for (const [key, question] of Object.entries(result.inputRequests ?? {})) {
        inputResponses[key] = await this.#on.question(question, signal);
      }
      given = { ...params, inputResponses, requestState: result.requestState };
    }
    throw new Error(`${method}: the questions have no end`);
  }

  notify(method, params) {
    this.#send({ jsonrpc: "2.0", method, params }, method);
  }

  /** Return the entries of all pages of a list; `key` is their member in a page. */
  async list(method, key) {
    const entries = [];
    const seen = new Set();
    let cursor;
    do {
      const page = await this.request(method, cursor === undefined ? {} : { cursor });
      entries.push(...(page[key] ?? []));
      cursor = page.nextCursor;
      if (seen.has(cursor) || seen.size > MOST_PAGES) throw new Error(`${method}: the pages have no end`);
      seen.add(cursor);
    } while (cursor !== undefined && cursor !== null);
    return entries;
  }

  #cancel(id) {
    const waiting = this.#inFlight.get(id);
    if (waiting === undefined) return;
    this.#inFlight.delete(id);
    this.notify("notifications/cancelled", { requestId: id, reason: "The user cancelled" });
    waiting.reject(new Cancelled("Cancelled"));
  }

  #send(message, method) {
    const text = JSON.stringify(message);
    this.#socket.send(text);
    this.#on.traffic({ direction: "sent", text, message, method });
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      message = undefined;
    }
    const waiting = message?.method === undefined ? this.#inFlight.get(message?.id) : undefined;
    this.#on.traffic({
      direction: "received",
      text: String(text),
      message,
      method: message?.method ?? waiting?.method,
    });
    if (message?.method === undefined) this.#settle(message, waiting);
    else if (message.id === undefined) this.#notified(message);
    else this.#answer(message);
  }

  #settle(message, waiting) {
    if (waiting === undefined) return; // cancelled meanwhile, or unknown
    this.#inFlight.delete(message.id);
    if (message.error) waiting.reject(new RpcError(message.error));
    else waiting.resolve(message.result ?? {});
  }

  #notified(message) {
    if (message.method === "notifications/progress") {
      for (const waiting of this.#inFlight.values()) {
        if (waiting.progressToken === message.params?.progressToken) waiting.onProgress?.(message.params);
      }
    }
    if (message.method === "notifications/cancelled") {
      this.#questions.get(message.params?.requestId)?.abort(new Cancelled("The server withdrew its question"));
    }
    this.#on.notification(message);
  }

  async #answer({ id, method, params }) {
    const withdrawn = new AbortController();
    const signal = AbortSignal.any([withdrawn.signal, this.#gone.signal]);
    this.#questions.set(id, withdrawn);
    try {
      const result = method === "ping" ? {} : await this.#on.question({ method, params }, signal);
      this.#send({ jsonrpc: "2.0", id, result }, method);
    } catch (problem) {
      if (signal.aborted) return; // nobody waits for the answer
      const { code = INTERNAL_ERROR, message } = problem;
      this.#send({ jsonrpc: "2.0", id, error: { code, message } }, method);
    } finally {
      this.#questions.delete(id);
    }
  }

  #ended({ code, reason }) {
    this.#fail(new Disconnected("The connection was closed before the response"));
    this.#on.closed({ opened: this.#lastId > 0, code, reason });
  }

  #fail(problem) {
    this.#gone.abort(problem);
    for (const waiting of this.#inFlight.values()) waiting.reject(problem);
    this.#inFlight.clear();
  }
}
