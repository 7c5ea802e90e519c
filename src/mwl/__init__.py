"""mwl: a DICOM Modality Worklist server."""

__version__ = "0.1.0"

IMPLEMENTATION_CLASS_UID = "2.25.183810896191230794078426632016916721014"
"""What tells peers and the readers of files which implementation they deal with: PS3.7 D.3.3.2.
Made of a random UUID, which needs no registered root: PS3.5 B.2."""

IMPLEMENTATION_VERSION_NAME = "MWL_0_1"
"""The same for people, at most 16 characters."""
