"""`sqlite:`: jobs in a SQLite file and their bytes beside it, for one dataprep process."""

from services.dataprep.backends.sqlite.store import create

__all__ = ["create"]
