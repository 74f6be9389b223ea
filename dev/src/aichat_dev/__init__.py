"""Runs the whole product on one machine, on an embedded Redis-compatible server."""
