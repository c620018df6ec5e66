"""Exported encoders: OpenVINO graphs, tokenizers and image preparation in one folder, loaded without torch.

`lineside.encoders.pretrained.export` makes them.
"""

from lineside.encoders.exported.encoders import ExportedJointEncoder, ExportedTextEncoder, load_joint, load_text
from lineside.encoders.exported.manifest import MANIFEST, ExportManifest, check_files, is_exported, read_manifest

__all__ = [
    "MANIFEST",
    "ExportManifest",
    "ExportedJointEncoder",
    "ExportedTextEncoder",
    "check_files",
    "is_exported",
    "load_joint",
    "load_text",
    "read_manifest",
]
