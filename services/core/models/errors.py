"""What can go wrong with model files.

NotFound
  UnknownModel          404  unknown_model      no such name in the catalogue
ServiceUnavailable
  ModelUnavailable      503  model_unavailable  every source failed; each is named with its reason
RaglineError
  NotEnoughDisk         507  not_enough_disk
"""

from __future__ import annotations

from services.core.errors import NotFound, RaglineError, ServiceUnavailable


class UnknownModel(NotFound):
    code = "unknown_model"


class ModelUnavailable(ServiceUnavailable):
    code = "model_unavailable"


class NotEnoughDisk(RaglineError):
    status, code = 507, "not_enough_disk"


class SourceFailed(Exception):
    """One source did not give its file; the next one is tried. `str()` says why."""
