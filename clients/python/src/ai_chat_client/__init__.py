"""The Python client of the ai-chat session service."""
