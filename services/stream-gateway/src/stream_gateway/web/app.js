// Puts the page together: one list, one conversation, one connection.

import { afterword, changesIn, standing } from "./afterword.js";
import { askAgain, planAgain } from "./again.js";
import { createSession } from "./api.js";
import { Composer, outgoingView } from "./composer.js";
import { config } from "./config.js";
import { ConnectionBar } from "./connection.js";
import { Conversation } from "./conversation.js";
import { ask, showHelp } from "./dialogs.js";
import { announce, byId, element, icon } from "./dom.js";
import { keepDraft } from "./drafts.js";
import { authorName } from "./message.js";
import { Outbox } from "./outbox.js";
import { Router, currentSession } from "./router.js";
import { historyTop, invitation, isNewName, placeholder, readOnly } from "./screens.js";
import { SessionList } from "./sessions.js";
import { Sidebar } from "./sidebar.js";
import { signIn, signOut } from "./sign-in.js";
import { LiveStream } from "./stream.js";
import { keepTimesFresh } from "./time.js";
import { Timeline } from "./timeline.js";
import { Topbar } from "./topbar.js";

const ANNOUNCED = 240; // Characters of a new message that are read out.
const STALE_MS = 15_000; // Without a stream, what is shown is read again so often at most.

/** What is shown of notices, of messages on their way, and below the last message. @type {WeakMap<object, HTMLElement>} */
const views = new WeakMap();
/** @type {WeakMap<object, {how: string, node: HTMLElement|null}>} */
const afterwords = new WeakMap();
const sessions = new SessionList();
const outbox = new Outbox();
const stream = config.canStream
  ? new LiveStream({
      onEvent: take,
      onOpen: streamOpened,
      onState: (state, problem) => connection.setStream(state, problem),
    })
  : null;
const connection = new ConnectionBar(() => stream?.retryNow());
const conversation = new Conversation(stream);
const create = config.canWrite ? newSession : null;
const sidebar = new Sidebar(sessions, {
  create,
  help: showHelp,
  leave: config.signsIn ? signOut : null,
  invitation,
});
const composer = new Composer(outbox, () => timeline.toEnd());
const topbar = new Topbar({
  grpcAddress: config.grpcAddress,
  canWrite: config.canWrite,
  position: () => conversation.log.position,
  onSession: (session) => {
    sessions.put(session);
    conversation.takeSession({ change: "updated", session });
    if (!stream) conversation.reload({ fresh: true });
  },
  onDeleted: (name) => {
    const change = { change: "deleted", session: { name } };
    sessions.take(change);
    conversation.takeSession(change);
    keepDraft(name, "");
  },
});
const timeline = new Timeline({
  log: () => conversation.log,
  drafts: () => conversation.replies.drafts,
  pending,
  older: () => conversation.loadingOlder === "no" && conversation.older(),
  stop: config.canWrite ? (replyId) => conversation.stop(replyId) : null,
});
const router = new Router(show);
let askingAgain = false;
let standingTimer = 0;

function show(name) {
  sidebar.setCurrent(name);
  sidebar.close();
  if (name !== conversation.name || name === null) conversation.open(name);
  if (name === null) sidebar.open();
}

function take(event) {
  if (event.type === "session") {
    const { change, session } = event.payload ?? {};
    if (typeof session?.name !== "string") return;
    sessions.take({ change, session });
    conversation.takeSession({ change, session });
  } else if (event.type === "status") {
    const state = event.payload?.state;
    connection.setSource(state === "live" ? "" : "The server has lost touch with its store. What is new will follow.");
    if (state === "live") streamOpened();
  } else conversation.take(event);
}

function streamOpened() {
  sessions.refresh();
  conversation.streamOpened();
  outbox.flush();
}

function pending() {
  const { name, log, notices } = conversation;
  for (const { key } of outbox.of(name)) if (log.has(key)) outbox.drop(key);
  return [
    ...below(),
    ...notices.map((notice) => shown(notice, noticeView)),
    ...outbox.of(name).map((item) => shown(item, sendingView)),
  ];
}

// The same node as long as it tells the same: an alert that is put in again is read out again.
function shown(item, view) {
  let node = views.get(item);
  if (!node) views.set(item, (node = view(item)));
  return node;
}

/** What stands below the last message, unless something comes after it. */
function below() {
  clearTimeout(standingTimer);
  const { name, log, state } = conversation;
  if (state !== "ready" || conversation.isWritten || outbox.of(name).length > 0) return [];
  const last = log.messages.at(-1);
  const how = standing(last, conversation.isAwaiting);
  if (how === null) return [];
  if (how === "waiting") standingTimer = setTimeout(() => timeline.update(), changesIn(last) + 50);
  const hasQuestion = log.messages.some(({ role }) => role === "user");
  const kept = afterwords.get(last);
  if (kept?.how === how) return kept.node ? [kept.node] : [];
  const node = afterword(how, config.canWrite && hasQuestion ? again : null);
  afterwords.set(last, { how, node });
  return node ? [node] : [];
}

/** Have the last question answered again. */
async function again() {
  const { name, log } = conversation;
  const facts = { awaiting: conversation.isAwaiting, named: !config.signsIn };
  const plan = planAgain(log.messages, facts);
  if (askingAgain || plan === null || conversation.isWritten) return;
  askingAgain = true;
  try {
    timeline.toEnd();
    await askAgain(name, log.position, plan, outbox);
    if (!stream) conversation.reload();
  } catch (error) {
    const words = error.reason === "POSITION_CONFLICT" ? "something new was said meanwhile." : error.message;
    if (conversation.name === name) conversation.notice(`It could not be asked again: ${words}`);
  } finally {
    askingAgain = false;
  }
}

function noticeView({ words }) {
  return element("p", { class: "ending ending-failed", role: "alert" }, icon("alert"), element("span", {}, words));
}

function sendingView(item) {
  return outgoingView(item, {
    retry: () => outbox.retry(item.key),
    discard: () => outbox.drop(item.key),
    edit: () => {
      outbox.drop(item.key);
      composer.edit(item.content);
    },
  });
}

function render() {
  const { name, state, session, log } = conversation;
  topbar.show(name, session ?? (state === "loading" ? sessions.get(name) : null) ?? null);
  const waiting = outbox.of(name).length;
  const instead = placeholder(conversation, waiting, { create, retry: () => conversation.retry() });
  const telling = `${state} ${name} ${instead === null}`;
  if (byId("placeholder").dataset.telling !== telling) {
    byId("placeholder").dataset.telling = telling;
    byId("placeholder").replaceChildren(...(instead ? [instead] : []));
  }
  byId("placeholder").hidden = instead === null;
  byId("scroller").hidden = instead !== null;
  byId("history-top").replaceChildren(
    ...historyTop({ log, loadingOlder: conversation.loadingOlder, messagesShown: log.messages.length > 0 }, () =>
      conversation.older(),
    ),
  );
  renderFoot(name, state);
  timeline.update();
}

function renderFoot(name, state) {
  const foot = byId("foot-content");
  const exists = conversation.session !== null || state === "ready";
  byId("foot").hidden = name === null || state === "failed" || !(exists || state === "loading" || isNewName(name));
  if (name === null) return;
  if (!config.canWrite) {
    if (foot.dataset.session !== name) foot.replaceChildren(readOnly(name));
    foot.dataset.session = name;
    return;
  }
  if (!composer.node.isConnected) foot.replaceChildren(composer.node);
  composer.show(name);
}

function newSession() {
  ask({
    title: "New session",
    action: "Create",
    fields: [
      {
        name: "name",
        label: "Name",
        hint: "Letters, digits and . _ - @ : ~ · left empty, one is made up",
        properties: { maxlength: 128, placeholder: "my-project", spellcheck: "false", autocapitalize: "none" },
      },
      { name: "title", label: "Title", hint: "Optional; what people see in the list", properties: { maxlength: 200 } },
    ],
    submit: async ({ name, title }) => {
      if (name && !isNewName(name))
        throw new Error("A name starts with a letter or digit; then letters, digits and . _ - @ : ~ may follow.");
      const body = { ...(name ? { name } : {}), ...(title.trim() ? { title: title.trim() } : {}) };
      const session = await createSession(body);
      sessions.put(session);
      router.go(session.name);
      if (!matchMedia("(pointer: coarse)").matches) setTimeout(() => composer.focus());
    },
  });
}

function keys(event) {
  const command = event.ctrlKey || event.metaKey;
  if (command && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") sidebar.focusSearch();
  else if (command && event.key === "/") showHelp();
  else if (event.altKey && !command && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    const name = sidebar.neighbour(event.key === "ArrowUp" ? -1 : 1);
    if (name !== null && name !== conversation.name) router.go(name);
  } else if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (!sidebar.leaveSearch()) sidebar.close();
    return;
  } else return;
  event.preventDefault();
}

conversation.addEventListener("open", () => timeline.reset());
conversation.addEventListener("change", render);
conversation.addEventListener("message", ({ detail: message }) => {
  if (message.id && outbox.of(conversation.name).some(({ key }) => key === message.id)) return;
  announce(`${authorName(message)}: ${message.content.slice(0, ANNOUNCED)}`);
});
conversation.addEventListener("long", () => timeline.isAtEnd && conversation.shed());
outbox.addEventListener("change", render);
outbox.addEventListener("sent", () => {
  if (!stream) conversation.reload();
});
addEventListener("online", () => outbox.flush());
document.addEventListener("keydown", keys);
addEventListener("ai-chat:unauthenticated", signIn);
byId("skip").addEventListener("click", () => byId("main").focus());
byId("brand").addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  router.go(null);
});

if (!stream) {
  connection.setSource("Live updates are off on this server.");
  let read = Date.now();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || Date.now() - read < STALE_MS) return;
    read = Date.now();
    sessions.refresh();
    conversation.reload();
  });
}
keepTimesFresh();
sessions.refresh();
show(currentSession());
outbox.flush();
