"""Data sets: bytes to elements and back, their text, and the dictionary of attributes.

This package is the only place that knows pydicom. Everything that others use is named here; the
bytes are read in `elements`, single elements in `selection`, files in `files`, text in `charset`
and `values`, JSON in `json_model` and `orthanc_json`; attributes are looked up in `dictionary`.

Source: DICOM PS3.5.
"""

from mwl.dataset.charset import ENCODINGS, CharacterSet, character_set
from mwl.dataset.dictionary import (
    BYTE_VRS,
    CHARACTER_SET_VRS,
    DEFAULT_REPERTOIRE_VRS,
    LONG_LENGTH_VRS,
    NUMBER_FORMATS,
    SINGLE_VALUE_TEXT_VRS,
    TEXT_VRS,
    VRS,
    DictionaryEntry,
    dictionary_version,
    excess_of,
    keyword_of,
    keywords,
    likely_keyword,
    load_registry,
    multiplicity_of,
    name_of,
    pad_of,
    tag_of,
    vr_of,
)
from mwl.dataset.elements import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INFLATED_LIMIT_BYTES,
    NESTING_LIMIT,
    TRANSFER_SYNTAXES,
    Element,
    Elements,
    decode,
    encode,
    extend_dictionary,
)
from mwl.dataset.files import (
    TRANSFER_SYNTAX_UID,
    DicomFile,
    encode_file,
    new_meta,
    read_dicom_file,
    read_file,
)
from mwl.dataset.json_model import from_json, to_json
from mwl.dataset.orthanc_json import (
    EVERYTHING,
    FORMS,
    Flags,
    Format,
    from_orthanc_json,
    to_orthanc_json,
)
from mwl.dataset.selection import Selection, read_selected, select
from mwl.dataset.values import is_empty, values

__all__ = [
    "BYTE_VRS",
    "CHARACTER_SET_VRS",
    "DEFAULT_REPERTOIRE_VRS",
    "DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN",
    "ENCODINGS",
    "EVERYTHING",
    "EXPLICIT_VR_BIG_ENDIAN",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "FORMS",
    "IMPLICIT_VR_LITTLE_ENDIAN",
    "INFLATED_LIMIT_BYTES",
    "LONG_LENGTH_VRS",
    "NESTING_LIMIT",
    "NUMBER_FORMATS",
    "SINGLE_VALUE_TEXT_VRS",
    "TEXT_VRS",
    "TRANSFER_SYNTAXES",
    "TRANSFER_SYNTAX_UID",
    "VRS",
    "CharacterSet",
    "DicomFile",
    "DictionaryEntry",
    "Element",
    "Elements",
    "Flags",
    "Format",
    "Selection",
    "character_set",
    "decode",
    "dictionary_version",
    "encode",
    "encode_file",
    "excess_of",
    "extend_dictionary",
    "from_json",
    "from_orthanc_json",
    "is_empty",
    "keyword_of",
    "keywords",
    "likely_keyword",
    "load_registry",
    "multiplicity_of",
    "name_of",
    "new_meta",
    "pad_of",
    "read_dicom_file",
    "read_file",
    "read_selected",
    "select",
    "tag_of",
    "to_json",
    "to_orthanc_json",
    "values",
    "vr_of",
]
