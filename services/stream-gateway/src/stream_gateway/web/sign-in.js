// Signing in and out, where the server wants to know who asks: a page of its own sets the cookie that no script sees.

import { refusal } from "./api.js";
import { ask } from "./dialogs.js";
import { forgetTyped } from "./drafts.js";
import { currentSession, sessionHref } from "./router.js";

let leaving = false;

/** Go and sign in; the page comes back to where it is, with what was typed. */
export function signIn() {
  if (leaving) return;
  leaving = true;
  const name = currentSession();
  const next = name === null ? "" : `?next=${encodeURIComponent(sessionHref(name))}`;
  location.assign(new URL(`sign-in${next}`, document.baseURI));
}

/** Ask, then have the browser forget who it was, and what that person had typed and not sent. */
export function signOut() {
  ask({
    title: "Sign out?",
    action: "Sign out",
    text: "What you typed in this browser and did not send is forgotten.",
    submit: async () => {
      // Where it leads is no part of this: the answer that sets the cookie is all that is wanted.
      const response = await fetch("sign-out", { method: "POST", redirect: "manual", cache: "no-store" });
      if (response.type !== "opaqueredirect" && !response.ok) throw await refusal(response);
      forgetTyped();
      signIn();
    },
  });
}
