"""The chat: reading lines, showing what others write, and the commands that begin with a slash."""
