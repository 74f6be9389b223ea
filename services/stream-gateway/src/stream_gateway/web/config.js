// What the gateway writes into index.html when it serves it.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

/** @type {{grpcAddress: string, canWrite: boolean, canStream: boolean, signsIn: boolean}} */
export const config = Object.freeze({
  grpcAddress: meta("ai-chat-grpc-address"),
  canWrite: meta("ai-chat-write") === "true",
  canStream: meta("ai-chat-stream") === "true",
  signsIn: meta("ai-chat-sign-in") === "true",
});
