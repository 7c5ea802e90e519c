"""Every option there is, as one table, by subject.

The table drives reading (`mwl.config.load`), the file that `mwl config init` prints, what `mwl
config show` prints, and the reference page.
"""

from collections.abc import Mapping
from types import MappingProxyType

from mwl.config.option import Option
from mwl.config.options.audit import AUDIT
from mwl.config.options.dicom import DICOM
from mwl.config.options.http import HTTP
from mwl.config.options.limits import LIMITS
from mwl.config.options.operation import OPERATION
from mwl.config.options.scripts import SCRIPTS
from mwl.config.options.tls import TLS
from mwl.config.options.worklists import WORKLISTS

__all__ = ["OPTIONS", "SECTIONS", "SECTION_ALIASES"]

OPTIONS: tuple[Option, ...] = (
    *DICOM,
    *TLS,
    *HTTP,
    *SCRIPTS,
    *OPERATION,
    *WORKLISTS,
    *LIMITS,
    *AUDIT,
)
"""All options, in the order in which a configuration file should have them."""

SECTIONS: tuple[str, ...] = ("Worklists", "Limits", "Audit")
"""Names of the sections."""

SECTION_ALIASES: Mapping[str, str] = MappingProxyType({"ModalityWorklists": "Worklists"})
"""Other names of sections: Orthanc's sample plugin is called ModalityWorklists."""
