"""README.md and docs/: short, complete, and without a link that leads nowhere."""

import re
from pathlib import Path

import pytest
import yaml

from benchmarks.sample import sample_of
from pipeline.config.methods import METHODS, AdaptParams
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.yaml_text import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), link
        if anchor and to.suffix == ".md":
            assert anchor in anchors(to), link


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs/README.md"
    linked = {link.partition("#")[0] for link in LINK.findall(index.read_text(encoding="utf-8"))}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - linked == {index.name}


def test_the_readme_is_short_and_explains_its_words_where_they_first_stand() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for word, explained in {
        "DT": "**direct transfer (DT)**",
        "source-only": "or *source-only*",
        "UDA": "**unsupervised domain adaptation (UDA)**",
        "SFDA": "**source-free (SFDA)**",
        "◊": "**◊** marks every number",
        "mutual information": "*mutual information* (",
    }.items():
        assert text.index(word) == text.index(explained) + explained.index(word), word


def test_an_experiment_changes_keys_that_a_parameter_file_has_or_adds_them() -> None:
    # DVC refuses -S KEY=… of a key that params.yaml lacks, unless a + is before it.
    files = [
        yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in [ROOT / "params.yaml", *(ROOT / "params").iterdir()]
    ]
    for page in PAGES:
        for line in re.findall(r"dvc exp run .*", page.read_text(encoding="utf-8")):
            for key in re.findall(r"-S '?([a-z][\w.]*)=", line):
                assert any(has(one, key.split(".")) for one in files), f"{page.name}: {key}"


def has(params: object, path: list[str]) -> bool:
    """Whether parameters have a key below sections."""
    for key in path:
        if not isinstance(params, dict) or key not in params:
            return False
        params = params[key]
    return True


def written_defaults() -> list[tuple[list[type[AdaptParams]], dict[str, str]]]:
    """The rows of docs/methods.md's table of defaults: methods, and values by parameter ("" where it has none)."""
    table = (ROOT / "docs/methods.md").read_text(encoding="utf-8").split("## Where the defaults come from")[1]
    rows: list[tuple[list[type[AdaptParams]], dict[str, str]]] = []
    for method, cell in re.findall(r"^\| (?!method|---)(.*?) ?\| (.+?) \| .+ \|$", table, re.MULTILINE):
        methods = [METHODS[name] for name in re.findall(r"`(\w+)`", method)]
        if not methods:  # a row for all methods, or a further one for those of the row above
            methods = [TwoDomainsParams] if method else rows[-1][0]
        values: dict[str, str] = {}
        for name, inside, after in re.findall(r"`(\w+)(?:: (\w+))?`(?: ([\w.-]+))?", re.sub(r"\(.*?\)", "", cell)):
            values[name] = inside or after
            values |= {earlier: values[name] for earlier, value in values.items() if not value}
        rows.append((methods, {} if "all but" in cell else values))
    return rows


def test_the_table_of_defaults_has_the_values_of_the_code() -> None:
    for methods, values in written_defaults():
        for name, value in values.items():
            defaults = [one.model_fields[name].default for one in methods if name in one.model_fields]
            assert defaults, f"there is no parameter {name}"
            if value:
                assert set(defaults) == {parse(value, "")}, f"{methods}: {name}"


def test_the_table_of_defaults_has_every_parameter_that_a_method_does_not_share() -> None:
    shared = {
        name: field.default for one in (AdaptParams, TwoDomainsParams) for name, field in one.model_fields.items()
    }
    for method in set(METHODS) - {"pocan", "shift"}:  # the table says of both where to look
        params = METHODS[method]
        own = {
            name for name, field in params.model_fields.items() if name not in shared or shared[name] != field.default
        }
        written = {name for methods, values in written_defaults() if params in methods for name in values}
        assert own <= written, f"docs/methods.md, Where the defaults come from: no row of {method} has {own - written}"


def test_the_sample_says_that_it_is_one_and_links_nothing_that_is_not_there() -> None:
    text = sample_of(
        "# Results\n\n[a study](studies/a.md), [DVC](https://dvc.org)\n\n## Figures\n\n![F1](figures/f.png)\n"
    )
    assert "*A sample of what `make demo` writes, measured on drawn faces ◊." in text
    assert "\na study, [DVC](https://dvc.org)\n" in text
    assert "Figures" not in text
