"""Run one harness: `python -m fuzz text_reader|data_set_reader [arguments of libFuzzer]`."""

import sys

import atheris

with atheris.instrument_imports(include=["mwl"]):
    from fuzz.targets import TARGETS

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
