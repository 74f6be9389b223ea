"""A long run under load, with a process killed every few seconds: `make soak`."""
