// The gateway's JSON routes. Every failure is an ApiError whose message a person can act on.

import { isStep } from "./router.js";

const TIMEOUT_MS = 20_000;

export class ApiError extends Error {
  /**
   * @param {number} status the HTTP status; 0 when no answer came
   * @param {string} reason of the contract's errors, or NETWORK, TIMEOUT, HTTP
   * @param {string} message
   * @param {{retryAfter?: number|null, position?: string|null}} [facts] seconds to wait; the head a 404 or a 412 tells
   */
  constructor(status, reason, message, { retryAfter = null, position = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
    this.retryAfter = retryAfter;
    this.position = position;
  }

  /** Whether the same request may well succeed later, without anybody changing anything. */
  get isTransient() {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

/** Read `Retry-After`, in seconds. */
function secondsToWait(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null;
}

/** Turn a refusal into an ApiError, whatever its body is; who has to sign in is told by an event of the window too. */
export async function refusal(response) {
  let problem = {};
  try {
    problem = (await response.json()) ?? {};
  } catch {
    // A proxy's own page, say; the status has to do.
  }
  const text =
    problem.detail || problem.title || `The server answered ${response.status} ${response.statusText}`.trim();
  if (response.status === 401) dispatchEvent(new Event("ai-chat:unauthenticated"));
  return new ApiError(response.status, problem.reason || "HTTP", text, {
    retryAfter: secondsToWait(response),
    position: response.headers.get("Session-Position"),
  });
}

async function request(method, path, { body, headers = {}, signal } = {}) {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        Accept: "application/json",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      cache: "no-store",
    });
    if (!response.ok) throw await refusal(response);
    const text = await response.text();
    return { response, value: text ? JSON.parse(text) : null };
  } catch (error) {
    if (error instanceof ApiError || signal?.aborted) throw error;
    if (deadline.aborted) throw new ApiError(0, "TIMEOUT", "The server did not answer in time.");
    if (error instanceof SyntaxError)
      throw new ApiError(response?.status ?? 0, "HTTP", "The server's answer could not be read.");
    throw new ApiError(0, "NETWORK", "The server cannot be reached.");
  }
}

/**
 * The value of one parameter in the `Link` of that relation. Only the parameter is taken: the address is ours to build,
 * because a proxy may have put the page under another path.
 */
function linkParameter(response, relation, parameter) {
  for (const [, target, rel] of (response.headers.get("Link") ?? "").matchAll(/<([^>]*)>[^,]*?rel="?([^",;]+)"?/g)) {
    if (rel === relation) return new URL(target, document.baseURI).searchParams.get(parameter);
  }
  return null;
}

/** @param {Record<string, string|number|null|undefined>} parameters */
export function query(parameters) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

/**
 * @param {string} name
 * @throws {ApiError} for a name that would lead elsewhere: browsers take a segment of dots, encoded or not, for a step up
 */
function sessionPath(name) {
  if (isStep(name))
    throw new ApiError(400, "INVALID_NAME", "A browser cannot ask for a session of this name. A terminal can resume it.");
  return `api/sessions/${encodeURIComponent(name)}`;
}

/** One page of sessions, latest activity first; `cursor` is null on the last. */
export async function listSessions({ limit, cursor, text, signal }) {
  const { response, value } = await request("GET", `api/sessions${query({ limit, cursor, q: text || null })}`, {
    signal,
  });
  return { sessions: value ?? [], cursor: linkParameter(response, "next", "cursor") };
}

export async function getSession(name, signal) {
  return (await request("GET", sessionPath(name), { signal })).value;
}

/** The newest `limit` messages before `before`, oldest first, and the session's head when they were read. */
export async function listMessages(name, { limit, before, signal }) {
  const { response, value } = await request("GET", `${sessionPath(name)}/messages${query({ limit, before })}`, {
    signal,
  });
  return {
    messages: value ?? [],
    position: response.headers.get("Session-Position") ?? "",
    before: linkParameter(response, "prev", "before"),
  };
}

export async function createSession(body) {
  return (await request("POST", "api/sessions", { body })).value;
}

/** Append messages; the same `key` twice appends once. */
export async function appendMessages(name, messages, key) {
  const { value } = await request("POST", `${sessionPath(name)}/messages`, {
    body: { messages },
    headers: { "Idempotency-Key": key },
  });
  return value;
}

export async function renameSession(name, title) {
  return (await request("PATCH", sessionPath(name), { body: { title } })).value;
}

/** Remove what was said, provided that the head is still where the person saw it. */
export async function clearSession(name, position) {
  return (await request("POST", `${sessionPath(name)}/clear`, { body: {}, headers: ifMatch(position) })).value;
}

/** Keep the first `keep` messages only, provided that the head is still where the person saw it. */
export async function truncateSession(name, keep, position) {
  return (await request("POST", `${sessionPath(name)}/truncate`, { body: { keep }, headers: ifMatch(position) })).value;
}

export async function deleteSession(name, position) {
  await request("DELETE", sessionPath(name), { headers: ifMatch(position) });
}

export async function stopReply(name, replyId) {
  return (await request("POST", `${sessionPath(name)}/stop`, { body: { replyId } })).value;
}

const ifMatch = (position) => (position ? { "If-Match": position } : {});

/** A key that no other request has, also where the page is served without TLS and crypto.randomUUID is missing. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
