"""optimum-habana in this process on an HPU (Gaudi), or plain transformers on the CPU."""

from services.generation.backends.habana.engine import CAPABILITIES, create

__all__ = ["CAPABILITIES", "create"]
