"""Where events travel: the port (`base`) and the adapters behind it."""
