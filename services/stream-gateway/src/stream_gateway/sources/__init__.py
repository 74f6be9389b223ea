"""Where the events of sessions come from."""
