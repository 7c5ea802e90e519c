"""The DICOM conformance statement, as Orthanc lays it out.

Source: DICOM PS3.2, of which this is the part that a technician asks for.
"""

from collections.abc import Mapping
from types import MappingProxyType

from mwl import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from mwl.dataset import TRANSFER_SYNTAXES
from mwl.dump.uid_names import UID_NAMES
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION

_SERVICES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "Echo SCP": ("as an SCP for C-Echo", "VerificationSOPClass", VERIFICATION),
        "Find SCP": (
            "as an SCP for C-Find",
            "FINDModalityWorklistInformationModel",
            MODALITY_WORKLIST_FIND,
        ),
        "Echo SCU": ("as an SCU for C-Echo", "VerificationSOPClass", VERIFICATION),
        "Find SCU": (
            "as an SCU for C-Find",
            "FINDModalityWorklistInformationModel",
            MODALITY_WORKLIST_FIND,
        ),
    }
)


def _heading(text: str, line: str) -> list[str]:
    return [line * len(text), text, line * len(text), ""]


def conformance_statement(ae_title: str) -> str:
    """Give the statement as plain text.

    Args:
        ae_title: AE title of this server.
    """
    lines = _heading("DICOM Conformance Statement of mwl", "=")
    for service, (role, name, uid) in _SERVICES.items():
        lines += ["", *_heading(f"{service} Conformance", "-")]
        lines += [f"mwl supports the following SOP Class {role}:", "", f"  {name} | {uid}", ""]
    lines += ["", *_heading("Transfer Syntaxes", "-")]
    lines += ["Each of them is accepted and proposed in any of these transfer syntaxes:", ""]
    lines += [f"  {UID_NAMES[uid]} | {uid}" for uid in TRANSFER_SYNTAXES]
    lines += ["", "mwl does not support extended negotiation.", ""]
    lines += ["", *_heading("Implementation", "-")]
    lines += [
        f"  AE title                    | {ae_title}",
        f"  Implementation Class UID    | {IMPLEMENTATION_CLASS_UID}",
        f"  Implementation Version Name | {IMPLEMENTATION_VERSION_NAME}",
    ]
    return "\n".join(lines) + "\n"
