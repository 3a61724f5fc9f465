"""Whatever stands in a parameter file, pocan check says ok or one message."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config.load import load
from pipeline.errors import ParamsError
from tests.config import fuzz

PACE = settings(
    max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
"""The same examples every time, in a few seconds; ``python -m tests.config.fuzz`` looks for others."""


@pytest.mark.slow
@PACE
@given(fuzz.HOSTILE)
def test_any_file_is_answered(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        assert fuzz.answer(content, Path(folder, "params.yaml")) in ("ok", "message")


@pytest.mark.slow
@PACE
@given(st.one_of(st.text(max_size=20), st.tuples(st.sampled_from(fuzz.NAMES), fuzz.TEXTS).map("=".join)))
def test_any_change_of_a_value_is_taken_or_refused(change: str) -> None:
    assert 0 < len(fuzz.answer_to_change(change)) <= fuzz.LONGEST


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"seed: 2024-99-99", "not valid YAML: ValueError: month must be in 1..12"),
        (b"seed: !!bool maybe", "not valid YAML: KeyError: 'maybe'"),
        (
            b"seed: 0\ndata: {}\nseed: 3\n",
            """not valid YAML: found duplicate key "seed" with value "3" (original value: "0") in line 3""",
        ),
        (b"seed: 0x" + b"f" * 5000, "an integer of more than 1024 bits"),
        (b"seed: " + b"9" * 5000, "not valid YAML: ValueError: Exceeds the limit"),
        (b"seed: " + b"[" * 5000, "nested too deeply"),
        (b"a: &a [*a]", "an alias (*) that contains itself"),
        (
            b"a: &a [1,2,3,4,5,6,7,8]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
            b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]",
            "more than 100000 values",
        ),
        (b"seed: 0\nsource: caf\xe9", "not UTF-8 text, in line 2; save the file as UTF-8"),
        (b"\xff\xfes\0e\0", "not UTF-8 text, in line 1"),
        (b"seed: \0", "not valid YAML"),
        (b"adapt: {method: {}}\nmethods: {}", "adapt.method: unknown method '{}'"),
        (b"adapt: {1: 2}\nmethods: {3: 4}", "methods: unknown method '3'"),
    ],
)
def test_what_yaml_readers_stumble_over(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "params.yaml").write_bytes(text)
    with pytest.raises(ParamsError) as raised:
        load(tmp_path / "params.yaml")
    assert message in str(raised.value)
    assert len(str(raised.value)) < fuzz.LONGEST
