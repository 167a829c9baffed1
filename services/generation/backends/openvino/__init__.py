"""openvino-genai in a process of its own, from a GGUF file or an OpenVINO folder."""

from services.generation.backends.openvino.engine import CAPABILITIES, create

__all__ = ["CAPABILITIES", "create"]
