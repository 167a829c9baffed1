"""openvino-genai in this process, from a GGUF file or an OpenVINO folder."""

from services.generation.backends.openvino.engine import CAPABILITIES, create

__all__ = ["CAPABILITIES", "create"]
