"""What commands and stages load: little, as a run of the pipeline starts them dozens of times."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
TEAM = "from pipeline.compute.team import Team; Team.single_process('cpu')"
PREPARED = "import torch; from pipeline.training.loop import prepare; prepare(0, torch.device('cpu'))"
JUDGED = (
    "from numpy import eye; from pipeline.validators.source_risk import density_ratio; density_ratio(eye(8), eye(8))"
)
HEAVY = ("cv2", "numpy", "pandas", "PIL", "torch", "tqdm", "pipeline.standins.layouts", "pipeline.datasets.parts.base")


@pytest.mark.parametrize(
    ("program", "unloaded"),
    [
        ("from pathlib import Path; from pipeline.config.load import load; load(Path('params.yaml'))", HEAVY),
        ("import pocan.cli", (*HEAVY, "pydantic", "pipeline.config.schema")),
        (TEAM, ("lightning_fabric", "torch._dynamo", "sympy")),
        (PREPARED, ("torch._dynamo", "torch._inductor", "sympy")),
        (JUDGED, ("sklearn", "scipy.stats", "torch", "pandas")),
        ("import stages.features", ("torch", "mlflow")),
    ],
    ids=["parameters", "the command line", "a team of one process", "a seeded process", "a validator", "features"],
)
def test_nothing_heavy_is_loaded(program: str, unloaded: tuple[str, ...]) -> None:
    shown = f"{program}; import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", shown], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(loaded.split()) & set(unloaded) == set()


def test_dvc_reads_yaml_in_c() -> None:
    # dvc.lock, which grows with the targets, is read some thirty times in one experiment.
    assert YAML(typ="safe").Parser is not YAML(typ="safe", pure=True).Parser


def test_a_reader_is_loaded_where_its_set_is_listed() -> None:
    program = "import sys; from pipeline.datasets import DATASETS\n"
    program += "before = 'pipeline.datasets.jaffe' in sys.modules\n"
    program += "print(before, DATASETS['jaffe'].title, DATASETS.title('mine'), 'pipeline.datasets.sfew' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown == "False JAFFE mine False\n"
