"""mwl: a DICOM Modality Worklist server."""

__version__ = "0.1.0"
