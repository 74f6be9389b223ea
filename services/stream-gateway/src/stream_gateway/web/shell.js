// Words for a POSIX shell.

const PLAIN = /^[A-Za-z0-9_@%+=:,./-][A-Za-z0-9_@%+=:,./~-]*$/;

/** Quote one word so that a POSIX shell reads it as it is. */
export function quote(word) {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The command that resumes a session from any terminal that reaches `server`. */
export function resumeCommand(server, name) {
  // A name that starts with a hyphen (chat.ai allowed it) would be read as another option.
  const session = name.startsWith("-") ? `--session=${quote(name)}` : `--session ${quote(name)}`;
  return `ai-chat --server ${quote(server)} ${session}`;
}
