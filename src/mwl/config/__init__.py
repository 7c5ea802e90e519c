"""The operator's configuration: Orthanc's JSON with comments to a frozen `Config`.

`options` is the table of all options, `source` reads files, `load` makes the `Config`, `serving`
tells whether that can be served, `document` writes one out. Read by the composition root and the
command line alone: everything else gets what it needs as arguments.
"""

from mwl.config.document import default_file, in_force, origins
from mwl.config.load import (
    AuditConfig,
    Checked,
    Config,
    LimitsConfig,
    Loaded,
    Note,
    WorklistsConfig,
    check,
    load,
    of_folder,
)
from mwl.config.option import Option, modality_of
from mwl.config.options import OPTIONS
from mwl.config.serving import missing_here, refusals, require_worklist
from mwl.config.values import (
    MANUFACTURERS,
    SYSLOG_PORTS,
    AuditDestination,
    DictionaryEntry,
    Modality,
)

__all__ = [
    "MANUFACTURERS",
    "OPTIONS",
    "SYSLOG_PORTS",
    "AuditConfig",
    "AuditDestination",
    "Checked",
    "Config",
    "DictionaryEntry",
    "LimitsConfig",
    "Loaded",
    "Modality",
    "Note",
    "Option",
    "WorklistsConfig",
    "check",
    "default_file",
    "in_force",
    "load",
    "missing_here",
    "modality_of",
    "of_folder",
    "origins",
    "refusals",
    "require_worklist",
]
