"""A folder for ComfyUI's custom_nodes (copied or linked there, with s2g installed): S2-Guidance on any MODEL with blocks."""

from __future__ import annotations

from s2g.integrations.comfyui.node import S2GuidanceNode

NODE_CLASS_MAPPINGS = {"S2Guidance": S2GuidanceNode}
NODE_DISPLAY_NAME_MAPPINGS = {"S2Guidance": "S²-Guidance"}
__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
