"""`JOBS_URL`: which job store, and where it is."""

from __future__ import annotations

from services.core.addresses import AddressSetting

JOBS_URL = AddressSetting(
    "JOBS_URL",
    role="the job store",
    examples="sqlite:, sqlite:///path/to/dir or redis://host:6379/0",
    logins="REDIS_USERNAME and REDIS_PASSWORD",
)
