"""Answers sessions that wait for a reply: one more client of the session service, replaceable by one's own."""
