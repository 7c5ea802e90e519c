"""Files that hold queries, in any form that a person has one."""

import re
import sys
from pathlib import Path

from mwl.cli.arguments import STANDARD_INPUT
from mwl.dataset import Elements, from_json, read_file
from mwl.dump import undump
from mwl.errors import DatasetError, InputError
from mwl.text_files import decode_text, read_json

# How the text of a dump and a JSON document begin, which no DICOM file does.
_TEXT = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:#[\s!-~]|\([0-9A-Fa-f]{4},|\(charset |[A-Z][A-Za-z]+\s*=)"
)
_JSON = re.compile(rb"\s*[\[{]\s*[\"{]")


def query_of(file: Path) -> Elements:
    """Read a query: a DICOM file, the text of one as `mwl dump` prints it, or DICOM JSON.

    Args:
        file: Its path; `-` for standard input.

    Raises:
        InputError: It is none of these.
    """
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
        if _TEXT.match(data):
            return undump(data).elements
        return (
            from_json(read_json(decode_text(data)).plain())
            if _JSON.match(data)
            else read_file(data)
        )
    except InputError as error:
        error.file = str(file)
        raise
    except OSError as error:
        raise InputError(error.strerror or str(error), file=str(file)) from error
    except DatasetError as error:
        raise InputError(f"not a DICOM data set: {error}", file=str(file)) from error
