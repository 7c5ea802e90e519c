"""What docs/conformance.md claims is what the code does; that it is fresh is in test_reference."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from mwl.attributes import ATTRIBUTES
from mwl.audit import messages
from mwl.config import OPTIONS
from mwl.dataset import ENCODINGS, SINGLE_VALUE_TEXT_VRS, TRANSFER_SYNTAXES, CharacterSet, Element
from mwl.matching.keys import IllegalKeyError, Kind, key_of
from mwl.wire import negotiation
from mwl.wire.dimse import Status
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION
from mwl.wire.pdu import AbortReason, AssociateReject
from support.listener import RawPeer, listening
from support.raw_requests import ABORT, ASSOCIATE
from support.server import running_server
from support.worklist import Site

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mwl"
PAGE = (ROOT / "docs" / "conformance.md").read_text("utf-8")
STORAGE = "1.2.840.10008.5.1.4.1.1.2"
JPEG = "1.2.840.10008.1.2.4.50"


def section(title: str) -> str:
    """Give what stands under a heading, up to the next."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines if not line.startswith("| ---")]


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Give what runs in the server over DICOM."""
    for file in sorted(SOURCE.rglob("*.py")):
        name = ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts)
        if not name.startswith(("mwl.web", "mwl.cli", "mwl.doctor", "mwl.net.client")):
            yield name.removesuffix(".__init__"), ast.parse(file.read_text("utf-8"))


def constant(module: str, node: ast.expr) -> Any:
    """Give the value of a name, or of an attribute of one, as a module knows it."""
    return eval(ast.unparse(node), vars(importlib.import_module(module)))  # noqa: S307 - our source


def sent_statuses() -> set[int]:
    found: set[int] = set()
    for module, tree in modules():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="RequestRefused" | "_refusal"), args=[first, *_]):
                    if isinstance(value := constant_or_none(module, first), int):
                        found.add(value)
                case ast.Attribute(value=ast.Name(id="Status"), attr=name):
                    found.add(getattr(Status, name))
                case _:
                    pass
    return found


def constant_or_none(module: str, node: ast.expr) -> Any:
    try:
        return constant(module, node)
    except NameError:
        return None  # an argument: whoever gives it is found too


def test_every_status_that_can_be_sent_is_stated_and_no_other() -> None:
    stated = {int(row[0], 16) for row in rows("Status codes")[1:]}
    assert stated == sent_statuses()


def test_every_rejection_that_can_be_sent_is_stated_and_no_other() -> None:
    sent = {
        f"{value.result}, {value.source}, {value.reason}"
        for value in vars(negotiation).values()
        if isinstance(value, AssociateReject)
    }
    table = section("3.2.4 Acceptance policy")
    assert set(re.findall(r"^\| (\d, \d, \d) \|", table, re.MULTILINE)) == sent


def test_every_reason_of_an_abort_is_stated_and_no_other() -> None:
    sent = {
        getattr(AbortReason, node.attr)
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "AbortReason"
    }
    table = section("3.2.4 Acceptance policy")
    found = re.findall(r"^\| 2, service-provider \| (\d) \|", table, re.MULTILINE)
    assert set(map(int, found)) == sent


def test_every_attribute_of_the_model_is_in_the_table_in_its_order() -> None:
    tags = re.findall(
        r"\| \(([0-9A-F]{4},[0-9A-F]{4})\) \|", section("Matching keys and return keys")
    )
    assert tags == [f"{row.tag >> 16:04X},{row.tag & 0xFFFF:04X}" for row in ATTRIBUTES]


SAMPLES = {"DA": b"20260101", "TM": b"0800", "DT": b"202601010800", "UI": b"1.2.3", "PN": b"DOE"}
NUMBERS = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}


def kinds(vr: str) -> str:
    """Find out how keys of a VR are matched."""
    one = bytes(NUMBERS[vr]) if vr in NUMBERS else SAMPLES.get(vr, b"1")
    two = one + one if vr in NUMBERS else one + b"\\" + one
    try:
        found = {kind(vr, value) for value in (one, b"1*", one + b"-" + one, two)}
    except IllegalKeyError:
        found = set()
    if kind(vr, one) is None:
        return "UNIVERSAL; a value is refused with A900"
    words = {
        Kind.SINGLE_VALUE: "SINGLE_VALUE",
        Kind.WILD_CARD: "WILDCARD",
        Kind.RANGE: "RANGE",
        Kind.LIST_OF_UID: "UID",
        Kind.SEVERAL_VALUES: "SEVERAL_VALUES",
    }
    return ", ".join([word for key, word in words.items() if key in found] + ["UNIVERSAL"])


def kind(vr: str, value: bytes) -> Kind | None:
    try:
        key = key_of(Element(0x00100010, vr, value), vr, LATIN, folds_names=True)
    except IllegalKeyError:
        return None
    return key.kind if key else None


LATIN: CharacterSet = ENCODINGS["Latin1"]


@pytest.mark.parametrize("row", rows("Matching by VR")[1:], ids=lambda row: row[0])
def test_each_vr_is_matched_as_stated(row: list[str]) -> None:
    for vr in row[0].split():
        if vr != "SQ":
            assert kinds(vr) == row[1], vr


def test_text_of_one_value_has_no_several_values() -> None:
    for vr in SINGLE_VALUE_TEXT_VRS:
        assert "SEVERAL_VALUES" not in kinds(vr)


def test_every_option_of_dicom_has_its_default() -> None:
    table = section("3.5 Configuration")
    for option in OPTIONS:
        if not option.name.startswith(("Http", "Ssl")):
            assert f"| `{option.name}` |" in table


def test_nothing_is_left_to_be_filled_in() -> None:
    assert "{{" not in PAGE


@pytest.mark.parametrize("place", sorted(set(re.findall(r"\]\(([\w/.-]+\.md)", PAGE))))
def test_the_pages_that_it_points_to_are_there(place: str) -> None:
    assert (ROOT / "docs" / place).is_file()


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`(tests/[\w/.]+)`", PAGE))))
def test_the_tests_that_it_names_are_there(place: str) -> None:
    assert (ROOT / place).is_file()


@pytest.fixture(scope="module")
def association(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Associate with a running server, with more offered than it takes."""
    with running_server(tmp_path_factory.mktemp("worklists")) as server:
        ae = AE(ae_title="CT1")
        for uid in (VERIFICATION, MODALITY_WORKLIST_FIND):
            for transfer_syntax in (*TRANSFER_SYNTAXES, JPEG):
                ae.add_requested_context(uid, transfer_syntax)
        ae.add_requested_context(STORAGE, TRANSFER_SYNTAXES[0])
        extended = SOPClassExtendedNegotiation()
        extended.sop_class_uid = MODALITY_WORKLIST_FIND
        extended.service_class_application_information = b"\1\1\1\1\1\1"
        window = AsynchronousOperationsWindowNegotiation()
        window.maximum_number_operations_invoked = 8
        role = build_role(MODALITY_WORKLIST_FIND, scu_role=True, scp_role=True)
        identity = UserIdentityNegotiation()
        identity.user_identity_type = 1
        identity.primary_field = b"someone"
        identity.positive_response_requested = True
        asked: Any = [extended, window, role, identity]
        opened = ae.associate(server.host, server.port, ext_neg=asked)
        assert opened.is_established
        yield opened
        opened.release()


def test_each_sop_class_is_accepted_in_each_transfer_syntax_and_no_other(association: Any) -> None:
    accepted = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
    }
    classes = {row[1].strip("`") for row in rows("1 Overview")[1:]}
    syntaxes = re.findall(r"\| `(1\.2\.840\.10008\.1\.2[\d.]*)` \|$", PAGE, re.MULTILINE)
    assert accepted == {(sop_class, syntax) for sop_class in classes for syntax in syntaxes}
    results = {context.result for context in association.rejected_contexts}
    assert results == {3, 4}


def test_extended_negotiation_is_answered_as_stated(association: Any) -> None:
    answers = association.acceptor
    (extended,) = answers.sop_class_extended.items()
    assert extended == (MODALITY_WORKLIST_FIND, b"\1\1\0\0")
    assert f"`{extended[1].hex(' ')}`" in section("3.2.3 Extended negotiation")
    assert answers.asynchronous_operations == (1, 1)
    assert answers.role_selection[MODALITY_WORKLIST_FIND].scp_role is False
    assert answers.user_identity.server_response == b""


def test_the_server_says_who_it_is_and_what_it_takes(association: Any) -> None:
    answers = association.acceptor
    assert f"`{answers.implementation_class_uid}`" in PAGE
    assert f"`{answers.implementation_version_name}`" in PAGE
    assert f"received | {answers.maximum_length} bytes" in PAGE


def beyond(limit: str) -> str:
    """Give what the statement says of what happens beyond a limit."""
    return next(row[2] for row in rows("3.6 Limits") if row[0] == limit)


def pdu(kind: int, length: int) -> bytes:
    return bytes((kind, 0)) + length.to_bytes(4, "big")


async def test_more_contexts_than_are_taken_are_aborted() -> None:
    # Behind the fixed fields, of which the AE titles are full of spaces, which are 20H too.
    context = ASSOCIATE[ASSOCIATE.index(b"\x20\0", 74) :]
    context = context[: 4 + int.from_bytes(context[2:4], "big")]
    many = ASSOCIATE.replace(context, context * 200, 1)
    many = pdu(1, len(many) - 6) + many[6:]
    async with listening(Site()) as server:
        peer = await RawPeer.connect(server.port)
        await peer.say(many)
        kind, body = await peer.hear()
        await peer.close()
    assert (kind, body[2]) == (ABORT, 0)
    stated = beyond("Presentation contexts of an association")
    assert stated == "A-ABORT, source service-user: there is no association."


def test_every_kind_of_audit_message_is_stated() -> None:
    kinds = [value for value in vars(messages).values() if isinstance(value, messages.Kind)]
    stated = [row[:3] for row in rows("6.3 Audit")]
    for kind in kinds:
        meaning = "" if kind.type is None else kind.type.meaning
        assert [kind.event.meaning, meaning, kind.event.value] in stated
