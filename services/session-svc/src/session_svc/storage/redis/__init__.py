"""Sessions in Redis, or any server with the commands of Redis 7.0."""

from session_svc.storage.redis.history import RedisMessageHistory
from session_svc.storage.redis.server import Unsupported
from session_svc.storage.redis.storage import RedisStorage, open_storage
from session_svc.storage.redis.store import RedisSessionStore

__all__ = ["RedisMessageHistory", "RedisSessionStore", "RedisStorage", "Unsupported", "open_storage"]
