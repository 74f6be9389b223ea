"""Where answers come from: each provider turns a conversation into a stream of pieces."""
