"""Bytes of text files to text, with the place of the byte that is wrong."""

import codecs

from mwl.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, and the encodings that they stand for."""


def decode_text(data: bytes, file: str, charset: str | None) -> str:
    """Give the text of a file.

    Args:
        data: The whole file.
        file: Its path, for messages.
        charset: Encoding, by a name that Python knows. Without one it is UTF-8, or what a byte
            order mark says.

    Raises:
        InputError: There is no such encoding, or the file is in another.
    """
    name = charset or next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(name).removeprefix("\ufeff")
    except LookupError:
        raise InputError(
            "there is no such encoding", option="--charset", hint="try utf-8 or windows-1252"
        ) from None
    except UnicodeDecodeError as error:
        raise _undecodable(data, error.start, name, file) from None
    except UnicodeError:  # of codecs that do not say where
        raise InputError(f"the file is not {name}", file=file) from None


def _undecodable(data: bytes, offset: int, name: str, file: str) -> InputError:
    line = data.count(b"\n", 0, offset) + 1
    column = offset - data.rfind(b"\n", 0, offset)
    return InputError(
        f"byte {column} of the line is not {name}",
        file=file,
        line=line,
        hint="name the encoding with --charset; windows-1252 is that of many spreadsheets",
    )
