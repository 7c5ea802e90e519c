"""The fuzzing harnesses run, and find nothing in the samples and what is near them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.targets import data_set_reader, text_reader
from mwl.dataset import read_dicom_file
from mwl.dump import STORED, dump_file

SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "worklists").glob("*.wl"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_samples_and_their_texts_are_read(path: Path) -> None:
    data = path.read_bytes()
    data_set_reader(data)
    text_reader(data)
    for encoding in ("utf-8", STORED):
        text_reader(dump_file(read_dicom_file(data), encoding))


@given(
    st.sampled_from(SAMPLES).map(Path.read_bytes),
    st.integers(min_value=0, max_value=2000),
    st.binary(max_size=12),
    st.integers(min_value=0, max_value=12),
)
def test_what_is_near_a_sample_is_read_or_refused(
    data: bytes, position: int, part: bytes, removed: int
) -> None:
    changed = data[:position] + part + data[position + removed :]
    data_set_reader(changed)
    text = dump_file(read_dicom_file(data))
    text_reader(text[:position] + part + text[position + removed :])
