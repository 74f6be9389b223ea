"""What the assistant counts."""

from prometheus_client import Counter, Gauge, Histogram

replies = Counter("ai_chat_assistant_replies", "Replies by how they ended", ["outcome"])
in_progress = Gauge("ai_chat_assistant_replies_in_progress", "Replies being written")
waiting = Gauge("ai_chat_assistant_sessions_waiting", "Sessions that wait for their turn")
following = Gauge("ai_chat_assistant_following", "1 while the list of sessions is followed")
first_token_seconds = Histogram(
    "ai_chat_assistant_first_token_seconds",
    "From the question's claim to the model's first piece",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
