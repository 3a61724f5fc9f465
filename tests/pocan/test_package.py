"""The installed package: it has every file that the code reads beside itself."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_file_beside_the_code_goes_into_the_wheel() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    packed = {
        path
        for package, patterns in declared.items()
        for each in patterns
        for path in (ROOT / package.replace(".", "/")).glob(each)
    }
    beside = {
        path
        for package in ("pipeline", "pocan")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert packed == beside
    # Without the library's marker a user's type checker takes what pocan gives of it, as PipelineError, for Any.
    assert {ROOT / "pipeline/py.typed", ROOT / "pocan/py.typed"} <= packed
    for path in (*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "pocan").rglob("*.py")):
        assert (path.parent / "__init__.py").is_file(), path
