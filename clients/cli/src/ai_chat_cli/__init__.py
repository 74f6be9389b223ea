"""Chat from a terminal: a thin client of the ai-chat session service."""
