"""The library's packages in layers: an import leads down, never up and never in a circle."""

import ast
from pathlib import Path

import pytest

from pipeline.backbones import BACKBONES
from pipeline.config.methods import METHODS
from pipeline.datasets import DATASETS

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("command_line",),
    ("own_pictures", "studies", "exporting", "importing", "trials", "scoring", "joining"),
    ("reporting",),
    ("adaptation",),
    ("tracking",),
    ("evaluation", "search"),
    ("methods",),
    ("source_model",),
    ("training", "prediction"),
    ("networks",),
    ("faces",),
    ("losses",),
    ("splits",),
    ("data",),
    ("compute",),
    ("config",),
    ("standins", "datasets", "backbones", "validators"),
    ("locks", "shards"),
    ("registry", "files", "labels", "progress", "git"),
    ("errors",),
)
"""The packages and modules of ``pipeline`` from the top layer down; those of one layer do not know each other."""

HEIGHT = {room: -floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    return module.split(".")[1]


def module_of(module: str, name: str) -> str:
    """What ``from module import name`` imports: the module of that name, where there is one."""
    path = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if path.is_dir() or path.with_suffix(".py").is_file() else module


def imports() -> set[tuple[str, str]]:
    """Pairs of modules of ``pipeline``: the first imports the second, at any depth of its code."""
    found = set()
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [module_of(node.module, alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            found |= {(module, name) for name in names if name.startswith("pipeline.") and module != "pipeline"}
    return found


NO_ROOMS = ("__init__.py", "__pycache__", "py.typed")


def test_every_room_has_its_floor() -> None:
    rooms = {path.stem for path in (ROOT / "pipeline").iterdir() if path.name not in NO_ROOMS}
    assert rooms == set(HEIGHT)


def test_no_import_runs_upward_or_to_a_neighbour() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, other in sorted(imports())
        if room_of(module) != room_of(other) and HEIGHT[room_of(module)] <= HEIGHT[room_of(other)]
    ]
    assert wrong == []


def test_no_circle_of_modules() -> None:
    below: dict[str, set[str]] = {}
    for module, other in imports():
        below.setdefault(module, set()).add(other)
    done: set[str] = set()

    def descend(module: str, way: tuple[str, ...]) -> None:
        if module in way:
            pytest.fail(" → ".join((*way[way.index(module) :], module)))
        if module not in done:
            for other in sorted(below.get(module, ())):
                descend(other, (*way, module))
            done.add(module)

    for module in sorted(below):
        descend(module, ())


def test_the_library_does_not_know_its_stages_nor_stages_each_other() -> None:
    for path in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "from stages" not in text, path
        assert "import stages" not in text, path


@pytest.mark.parametrize("room", ["reporting", "evaluation", "tracking", "stages"])
def test_upper_rooms_know_no_method_backbone_or_set_by_name(room: str) -> None:
    """Only what quotes the paper's own tables does."""
    folder = ROOT / room if room == "stages" else ROOT / "pipeline" / room
    names = {*BACKBONES, *METHODS, *DATASETS}
    for path in folder.rglob("*.py"):
        if path.name != "paper_tables.py":
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
            # The source model's scores are called dt wherever others are compared with them, and a run logs the
            # version of the library torchvision.
            assert texts & names - {"dt", "torchvision"} == set(), path
