"""Character sets against the examples of PS3.5 Annexes H to K, and against pydicom."""

import pytest
from pydicom.charset import decode_bytes

from mwl.dataset import ENCODINGS, CharacterSet, Element, character_set, values
from mwl.errors import DatasetError
from support.datasets import TEXT_SAMPLES, data_set

LATIN_1 = ENCODINGS["Latin1"]


def of(*terms: str) -> CharacterSet:
    return CharacterSet.of(terms)


# PS3.5 H.3.1, H.3.2, I.2, J.1, J.2, K.2, K.3: terms, text, bytes as printed there.
EXAMPLES = [
    (
        ("", "ISO 2022 IR 87"),
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        (
            "59616D6164615E5461726F753D1B24423B3345441B28425E1B244242404F3A1B2842"
            "3D1B24422464245E24401B28425E1B2442243F246D24261B2842"
        ),
    ),
    (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        (
            "D4CFC0DE5EC0DBB33D1B24423B3345441B284A5E1B244242404F3A1B284A"
            "3D1B24422464245E24401B284A5E1B2442243F246D24261B284A"
        ),
    ),
    (
        ("", "ISO 2022 IR 149"),
        "Hong^Gildong=洪^吉洞=홍^길동",
        "486F6E675E47696C646F6E673D1B242943FBF35E1B242943D1CED4D73D1B242943C8AB5E1B242943B1E6B5BF",
    ),
    (
        ("ISO_IR 192",),
        "Wang^XiaoDong=王^小東=",
        "57616E675E5869616F446F6E673DE78E8B5EE5B08FE69DB13D",
    ),
    (
        ("GB18030",),
        "Wang^XiaoDong=王^小东=",
        "57616E675E5869616F446F6E673DCDF55ED0A1B6AB3D",
    ),
    (
        ("", "ISO 2022 IR 58"),
        "Zhang^XiaoDong=张^小东=",
        "5A68616E675E5869616F446F6E673D1B242941D5C55E1B242941D0A1B6AB3D",
    ),
]


@pytest.mark.parametrize(("terms", "text", "encoded"), EXAMPLES)
def test_the_examples_of_the_standard_are_read_and_written(
    terms: tuple[str, ...], text: str, encoded: str
) -> None:
    characters = CharacterSet.of(terms)
    value = bytes.fromhex(encoded)
    assert characters.decode(value, "PN") == text
    assert characters.encode(text, "PN") == value


@pytest.mark.parametrize(("term", "text"), TEXT_SAMPLES.items())
def test_sets_of_one_term_agree_with_pydicom(term: str, text: str) -> None:
    encoded = of(term).encode(text, "PN")
    assert of(term).decode(encoded, "PN") == text
    python = {"ISO_IR 13": "shift_jis", "ISO_IR 203": "iso8859-15", "ISO_IR 192": "utf-8"}
    number = {"100": 1, "101": 2, "109": 3, "110": 4, "144": 5, "127": 6, "126": 7}
    number |= {"138": 8, "148": 9, "166": 11}
    codec = python.get(term) or f"iso8859-{number.get(term[7:], 0)}"
    assert encoded == text.encode(term if term.startswith("GB") else codec)


@pytest.mark.parametrize(
    ("terms", "codecs", "text"),
    [
        (("ISO 2022 IR 100", "ISO 2022 IR 144"), ["latin_1", "iso_ir_144"], "Jörg Люк\\Иван^ö"),
        (("", "ISO 2022 IR 126"), ["iso8859", "iso_ir_126"], "Dionysios Διονυσιος"),
        (("", "ISO 2022 IR 87"), ["iso8859", "iso2022_jp"], "a 山田\\太郎 b"),
        (("", "ISO 2022 IR 149"), ["iso8859", "euc_kr"], "a 홍\\길동 b"),
        (("", "ISO 2022 IR 159"), ["iso8859", "iso2022_jp_2"], "a 丂\\丄 b"),
    ],
)
def test_code_extensions_are_written_as_pydicom_reads_them(
    terms: tuple[str, ...], codecs: list[str], text: str
) -> None:
    encoded = CharacterSet.of(terms).encode(text, "LO")
    assert CharacterSet.of(terms).decode(encoded, "LO") == text
    assert decode_bytes(encoded, codecs, set(b"\\\r\n\t\f")) == text


# ------------------------------------------------------------------------------- borders


@pytest.mark.parametrize(
    ("terms", "value", "expected"),
    [
        # 5CH as the first byte of a character and as the second.
        (("", "ISO 2022 IR 87"), b"\x1b$B\x5c\x21\x1b(B\\B", [b"\xdc\xa1".decode("euc_jp"), "B"]),
        (("", "ISO 2022 IR 87"), b"\x1b$B\x30\x5c\x1b(B\\B", [b"\xb0\xdc".decode("euc_jp"), "B"]),
        (
            ("", "ISO 2022 IR 159"),
            b"\x1b$(D\x30\x5c\x1b(B\\B",
            [b"\x8f\xb0\xdc".decode("euc_jp"), "B"],
        ),
        (("GB18030",), b"\x81\x5c\\B", [b"\x81\x5c".decode("gb18030"), "B"]),
        (("GBK",), b"\x81\x5c\\B", [b"\x81\x5c".decode("gbk"), "B"]),
        (("GB18030",), b"\x81\x30\x81\x30\\B", ["\x80", "B"]),
    ],
)
def test_a_character_that_holds_a_backslash_byte_is_not_split(
    terms: tuple[str, ...], value: bytes, expected: list[str]
) -> None:
    assert values(Element(0x00100020, "LO", value), CharacterSet.of(terms)) == expected


@pytest.mark.parametrize("term", ["GB18030", "GBK"])
def test_no_character_of_two_bytes_reads_as_ascii(term: str) -> None:
    for lead in range(0x81, 0xFF):
        for trail in range(0x40, 0xFF):
            try:
                text = of(term).decode(bytes([lead, trail]), "LO")
            except DatasetError:
                continue
            assert not text.isascii()


@pytest.mark.parametrize("number", [87, 159])
def test_no_japanese_character_of_two_bytes_reads_as_a_delimiter(number: int) -> None:
    characters = of("", f"ISO 2022 IR {number}")
    escape = {87: b"\x1b$B", 159: b"\x1b$(D"}[number]
    found = 0
    for lead in range(0x21, 0x7F):
        for trail in range(0x21, 0x7F):
            value = escape + bytes([lead, trail]) + b"\x1b(B"
            try:
                text = characters.decode(value, "LO")
            except DatasetError:
                continue
            found += 1
            assert text not in "\\^=\r\n\f\t"
            # JIS X 0212 has a tilde, which ASCII writes shorter.
            assert text == "~" or characters.encode(text, "LO") == value
    assert found > 6000


@pytest.mark.parametrize("delimiter", ["\\", "\r", "\n", "\f", "\t"])
def test_the_initial_set_is_active_after_a_delimiter(delimiter: str) -> None:
    characters = of("ISO 2022 IR 100", "ISO 2022 IR 144")
    border = delimiter.encode()
    assert characters.decode(b"\x1b-L\xef" + border + b"\xe9", "LO") == f"я{delimiter}é"
    assert characters.encode(f"я{delimiter}é", "LO") == b"\x1b-L\xef\x1b-A" + border + b"\xe9"


@pytest.mark.parametrize("delimiter", ["^", "="])
def test_the_parts_of_a_name_begin_with_the_initial_set(delimiter: str) -> None:
    characters = of("ISO 2022 IR 100", "ISO 2022 IR 144")
    border = delimiter.encode()
    assert characters.decode(b"\x1b-L\xef" + border + b"\xe9", "PN") == f"я{delimiter}é"
    assert characters.decode(b"\x1b-L\xef" + border + b"\xe9", "LO") == f"я{delimiter}щ"


def test_a_backslash_does_not_end_anything_in_text_of_one_value() -> None:
    characters = of("ISO 2022 IR 100", "ISO 2022 IR 144")
    assert characters.decode(b"\x1b-L\xef\\\xef", "LT") == "я\\я"


def test_a_delimiter_after_romaji_returns_to_ascii() -> None:
    characters = of("", "ISO 2022 IR 87", "ISO 2022 IR 13")
    assert characters.decode(b"\x1b(J~\\~", "LO") == "‾\\~"


def test_an_escape_that_is_not_declared_is_understood() -> None:
    # Devices in Japan return to romaji where only ISO 2022 IR 87 is named.
    value = b"\x1b$B\x3b\x33\x1b(J^A"
    assert of("", "ISO 2022 IR 87").decode(value, "PN") == "山^A"


def test_padding_of_a_two_byte_set_is_a_space() -> None:
    assert of("", "ISO 2022 IR 87").decode(b"\x1b$B\x3b\x33 ", "LO") == "山 "


def test_a_single_term_of_two_bytes_is_its_own_initial_set() -> None:
    korean = ENCODINGS["Korean"]
    assert korean.decode(b"\xb1\xe6", "LO") == "길"
    kanji = ENCODINGS["JapaneseKanji"]
    assert kanji.encode("A山", "LO") == b"A\x1b$B\x3b\x33\x1b(B"


@pytest.mark.parametrize(("term", "escape"), [("149", b"\x1b$)C"), ("58", b"\x1b$)A")])
def test_a_two_byte_set_is_written_with_its_escape_even_as_the_first_value(
    term: str, escape: bytes
) -> None:
    first, second = of(f"ISO 2022 IR {term}"), of("", f"ISO 2022 IR {term}")
    for text in ("中^中", "A^中=B"):
        assert first.encode(text, "PN") == second.encode(text, "PN")
        assert first.decode(first.encode(text, "PN"), "PN") == text
    assert escape in first.encode("中", "LO")


@pytest.mark.parametrize("syllable", ["똠", "펲", "뷁"])
def test_a_syllable_that_ks_x_1001_lacks_is_not_spelt_in_letters(syllable: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        of("", "ISO 2022 IR 149").encode(syllable, "LO")


# ------------------------------------------------------------------------------- strictness


@pytest.mark.parametrize(
    ("terms", "value", "offset"),
    [
        (("ISO_IR 6",), b"A\xe9", 1),
        (("ISO_IR 192",), b"AB\xe9 ", 2),
        (("ISO_IR 127",), b"\xff", 0),
        (("ISO_IR 13",), b"A\x80", 1),
        (("GBK",), b"A\xff\xff", 1),
        (("", "ISO 2022 IR 87"), b"A\xe9", 1),
        (("", "ISO 2022 IR 87"), b"A\x1b$B\x3b", 4),
        (("", "ISO 2022 IR 87"), b"A\x1b$B\x7e\x7e", 4),
        (("", "ISO 2022 IR 87"), b"A\x1b", 1),
        (("", "ISO 2022 IR 87"), b"A\x1b$Z\x3b\x33", 1),
        (("", "ISO 2022 IR 149"), b"\x1b$)C\xb1", 4),
        (("", "ISO 2022 IR 149"), b"\xb1\xe6", 0),
    ],
)
def test_bytes_outside_the_set_are_refused_with_their_place(
    terms: tuple[str, ...], value: bytes, offset: int
) -> None:
    with pytest.raises(DatasetError, match="text is not in") as caught:
        CharacterSet.of(terms).decode(value, "LO")
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        (("ISO_IR 6",), "é"),
        (("ISO_IR 100",), "€"),
        (("ISO_IR 13",), "~"),
        (("ISO_IR 13",), "¥"),
        (("", "ISO 2022 IR 87"), "é"),
        (("", "ISO 2022 IR 87"), "ﾔ"),
        (("", "ISO 2022 IR 87"), "A\x1b"),
        (("ISO 2022 IR 13", "ISO 2022 IR 87"), "~"),
    ],
)
def test_a_character_that_the_set_lacks_cannot_be_written(
    terms: tuple[str, ...], text: str
) -> None:
    with pytest.raises(UnicodeEncodeError):
        CharacterSet.of(terms).encode(text, "LO")


def test_romaji_has_an_overline_where_ascii_has_a_tilde() -> None:
    assert of("ISO_IR 13").decode(b"~\\\xb1", "LO") == "‾\\ｱ"
    assert of("ISO 2022 IR 13", "ISO 2022 IR 87").decode(b"~", "LO") == "‾"


# ------------------------------------------------------------------------------- terms


@pytest.mark.parametrize(
    ("written", "terms"),
    [
        ("ISO_IR 100", ("ISO_IR 100",)),
        ("ISO_IR 100 ", ("ISO_IR 100",)),
        ("ISO IR 100", ("ISO_IR 100",)),
        ("ISO-IR 100", ("ISO_IR 100",)),
        ("ISO_IR_100", ("ISO_IR 100",)),
        ("ISO_IR100", ("ISO_IR 100",)),
        ("iso_ir 192", ("ISO_IR 192",)),
        ("UTF-8", ("ISO_IR 192",)),
        ("gb18030", ("GB18030",)),
        ("ISO 2022 IR 6", ("ISO 2022 IR 6",)),
        ("ISO 2022 IR 100", ("ISO 2022 IR 100",)),
        ("ISO2022 IR 87", ("ISO 2022 IR 87",)),
        ("ISO_IR 149", ("ISO 2022 IR 149",)),
        ("\\ISO 2022 IR 87", ("ISO 2022 IR 6", "ISO 2022 IR 87")),
        (" \\ISO 2022 IR 87", ("ISO 2022 IR 6", "ISO 2022 IR 87")),
        ("ISO_IR 100\\ISO_IR 144", ("ISO 2022 IR 100", "ISO 2022 IR 144")),
        ("ISO 2022 IR 87\\ISO 2022 IR 87", ("ISO 2022 IR 87",)),
        ("\\ISO_IR 192", ("ISO_IR 192",)),
        ("ISO 2022 IR 192", ("ISO_IR 192",)),
        ("ISO_IR 192\\ISO_IR 192", ("ISO_IR 192",)),
    ],
)
def test_terms_are_understood_as_devices_write_them(written: str, terms: tuple[str, ...]) -> None:
    elements = data_set(SpecificCharacterSet=written)
    assert character_set(elements, LATIN_1).terms == terms


@pytest.mark.parametrize(
    "written",
    [
        "ISO_IR 999",
        "latin1",
        "ISO_IR 192\\ISO 2022 IR 87",
        "GB18030\\GBK",
        "ISO_IR 100\\nonsense",
        "\xff",
    ],
)
def test_unknown_terms_are_refused(written: str) -> None:
    with pytest.raises(DatasetError, match="character set") as caught:
        character_set(data_set(SpecificCharacterSet=written), LATIN_1)
    assert caught.value.tag == 0x00080005


@pytest.mark.parametrize(
    "elements", [{}, data_set(SpecificCharacterSet=""), data_set(SpecificCharacterSet="  ")]
)
def test_without_a_term_the_default_holds(elements: dict[int, Element]) -> None:
    assert character_set(elements, LATIN_1) is LATIN_1


def test_a_sequence_is_no_character_set() -> None:
    with pytest.raises(DatasetError, match="sequence"):
        character_set({0x00080005: Element(0x00080005, "SQ", ())}, LATIN_1)


def test_character_sets_are_equal_by_their_terms_and_kept() -> None:
    assert of("ISO_IR 100") is of("ISO IR 100") is LATIN_1
    assert hash(of("ISO_IR 100")) == hash(LATIN_1)
    assert of("ISO_IR 100") != of("ISO_IR 101")
    assert repr(LATIN_1) == "CharacterSet(terms=('ISO_IR 100',))"


def test_orthanc_encodings_have_the_terms_that_orthanc_writes() -> None:
    assert {name: characters.terms for name, characters in ENCODINGS.items()} == {
        "Ascii": ("ISO_IR 6",),
        "Utf8": ("ISO_IR 192",),
        "Latin1": ("ISO_IR 100",),
        "Latin2": ("ISO_IR 101",),
        "Latin3": ("ISO_IR 109",),
        "Latin4": ("ISO_IR 110",),
        "Latin5": ("ISO_IR 148",),
        "Cyrillic": ("ISO_IR 144",),
        "Windows1251": (),
        "Arabic": ("ISO_IR 127",),
        "Greek": ("ISO_IR 126",),
        "Hebrew": ("ISO_IR 138",),
        "Thai": ("ISO_IR 166",),
        "Japanese": ("ISO_IR 13",),
        "Chinese": ("GB18030",),
        "JapaneseKanji": ("ISO 2022 IR 87",),
        "Korean": ("ISO 2022 IR 149",),
        "SimplifiedChinese": ("ISO 2022 IR 58",),
    }


def test_windows_1251_is_read_but_has_no_term_to_be_written_with() -> None:
    windows = ENCODINGS["Windows1251"]
    assert windows.decode("Иван".encode("cp1251"), "PN") == "Иван"
    assert windows.encode("Ivan", "PN") == b"Ivan"
    with pytest.raises(UnicodeEncodeError):
        windows.encode("Иван", "PN")
