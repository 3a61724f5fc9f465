"""Parameter files as nobody should write them: what ``pocan check`` says of each is ``ok`` or one message.

``python -m tests.config.fuzz 20000`` tries so many, each time others, and counts the answers.
"""

import copy
import sys
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipeline.config.load import load, read
from pipeline.errors import ParamsError
from pocan.cli import app

ROOT = Path(__file__).parents[2]
FILES = {path.name: path for path in (ROOT / "params.yaml", *sorted((ROOT / "params").glob("*.yaml")))}
LONGEST = 10_000
"""Characters of a message: what a person may still be asked to scroll through."""

Path_ = tuple[Any, ...]

NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, -(10**30), 10**4000]),
    st.floats(),
    st.sampled_from([5e-324, -0.0, 1e308, float("nan"), float("inf"), float("-inf")]),
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "..", "../..", "/nowhere", "~", "\0", "\ud800", "x" * 5000, "a/b", "$HOME", "null", "nan"]
    ),
    st.sampled_from(["rafdb", "jaffe", "ckplus48", "pocan", "dt", "timm", "resnet18", "dlib", "imagenet", "vggface2"]),
    st.sampled_from(["official", "all", "stratified", "subject", "drop", "auto", "exact", "both", "balanced", "em"]),
)
SIMPLE = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.dates(), st.binary(max_size=4))
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(TEXTS, NUMBERS, st.none()), inner, max_size=3)
    ),
    max_leaves=8,
)
SCRAPS = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b"\xff\xfe", b"\0", b"\t", b"*a", b"&a [*a]", b"!!python/object:os.system", b"!!set {a}", b"? [a]\n: b\n"]
    ),
    st.sampled_from([b"2024-99-99", b"0x", b"0b_", b"9" * 5000, b"0x" + b"f" * 5000, b"1e999", b"1:99:99", b"<<: 3"]),
    st.sampled_from([b"[" * 5000, b"{a: " * 3000, b'"\\ud800"', b"---\n", b"\n- ", b": ", b"%YAML 9.9\n"]),
)
"""Bytes that are put into a file: what YAML readers are known to stumble over."""


def places(values: Any, above: Path_ = ()) -> list[Path_]:
    """The way to every value of a file, by keys."""
    if not isinstance(values, dict):
        return [above]
    return [above, *(way for key, value in values.items() for way in places(value, (*above, key)))]


def put(values: dict[str, Any], way: Path_, value: Any) -> None:
    """Put ``value`` at the end of ``way``, as far as that still leads anywhere."""
    for key in way[:-1]:
        if not isinstance(values.get(key), dict):
            return
        values = values[key]
    if value is LEAVE_OUT:
        values.pop(way[-1], None)
    else:
        values[way[-1]] = value


LEAVE_OUT = object()
WHOLE = {name: read(path) for name, path in FILES.items()}
PLACES = {name: [way for way in places(values) if way] for name, values in WHOLE.items()}
NAMES = [".".join(way) for way in PLACES["params.yaml"]]


@st.composite
def wrong_values(draw: st.DrawFn) -> bytes:
    """A parameter file of which one to four keys are missing, new or have other values."""
    name = draw(st.sampled_from(sorted(FILES)))
    values = copy.deepcopy(WHOLE[name])
    for _ in range(draw(st.integers(1, 4))):
        way = draw(st.sampled_from(PLACES[name]))
        if draw(st.integers(0, 3)) == 0:
            way = (*way[:-1], draw(st.one_of(TEXTS, NUMBERS, st.none())))
        put(values, way, draw(st.one_of(st.just(LEAVE_OUT), SIMPLE, SIMPLE, VALUES)))
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass")


@st.composite
def damaged_text(draw: st.DrawFn) -> bytes:
    """A parameter file of which some bytes are cut out, twice there or replaced by others."""
    content = FILES[draw(st.sampled_from(sorted(FILES)))].read_bytes()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.one_of(st.just(start), st.integers(start, min(len(content), start + 40)), st.just(len(content))))
        inside = draw(st.one_of(SCRAPS, st.just(b""), st.just(2 * content[start:end])))
        content = content[:start] + inside + content[end:]
    return content


HOSTILE = st.one_of(wrong_values(), damaged_text())


def answer(content: bytes, file: Path) -> str:
    """``ok`` or ``message``, which is what ``pocan check`` may say of a file; raises on anything else."""
    file.write_bytes(content)
    result = CliRunner().invoke(app, ["check", str(file)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"a traceback for {content!r}") from result.exception
    if result.exit_code == 0:
        assert result.stdout.splitlines()[-1] == "ok"
        return "ok"
    assert result.exit_code == 1, (result.exit_code, result.output)
    assert result.stdout == ""
    assert result.stderr.count("error: ") >= 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr) <= LONGEST, len(result.stderr)
    return "message"


def answer_to_change(change: str) -> str:
    """``ok``, or the message that refuses this change of a value (``-S``); raises on anything else."""
    try:
        load(FILES["params.yaml"], [change])
    except ParamsError as error:
        return str(error)
    return "ok"


def main(count: int) -> None:
    """Try ``count`` files and print how many had which answer, and one file of each kind of fault."""
    answers: Counter[str] = Counter()
    with TemporaryDirectory() as folder:

        @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(HOSTILE)
        def search(content: bytes) -> None:
            try:
                answers[answer(content, Path(folder, "params.yaml"))] += 1
            except AssertionError as error:
                kind = f"fault: {error.__cause__ or error!r}"[:120]
                answers[kind] += 1
                if answers[kind] == 1:
                    traceback.print_exception(error.__cause__ or error, limit=-4)

        search()
    for said, times in answers.most_common():
        print(times, said)


if __name__ == "__main__":
    main(int(sys.argv[1]))
