"""`redis://`: jobs in Redis, for any number of dataprep processes on one queue."""

from services.dataprep.backends.redis.store import create

__all__ = ["create"]
