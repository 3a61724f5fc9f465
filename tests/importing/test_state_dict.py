"""State dicts of timm's and torchvision's networks against the networks themselves; and files that are refused."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from pipeline.errors import ParamsError, PipelineError, WeightsError
from pipeline.importing import folder, state_dict
from pipeline.importing.importer import ImportRequest, import_model
from pipeline.labels import EXPRESSIONS
from pipeline.networks.trained import open_model
from tests.importing.networks import EIGHT, SMALL, timm_file, views

NETWORK = f"timm:{SMALL}"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def expected(network: nn.Module, images: torch.Tensor, size: int, mean: Any, std: Any) -> torch.Tensor:
    """What the network itself says, its classes in the order of EXPRESSIONS, contempt left out, made to sum to 1."""
    images = F.interpolate(images, size=(size, size), mode="bilinear", antialias=size < images.shape[-1])
    images = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        p: torch.Tensor = network(images).softmax(dim=1)
    places = [[name.lower() for name in EIGHT].index(name) for name in EXPRESSIONS]
    return p[:, places] / p[:, places].sum(dim=1, keepdim=True)


@pytest.mark.parametrize("nested", [False, True])
def test_timms_network_says_what_it_did(nested: bool, tmp_path: Path) -> None:
    network = timm_file(tmp_path / "w.pt", nested=nested)
    import_model(ImportRequest(str(tmp_path / "w.pt"), tmp_path / "m", NETWORK, EIGHT, trained_on="AffectNet"))
    found = open_model(tmp_path / "m")
    images = views()
    with torch.no_grad():
        p = found.model(images)
    torch.testing.assert_close(p, expected(network, images, 160, *IMAGENET), rtol=0, atol=1e-5)
    assert p.max(dim=1).values.min() > 0.2  # they are unlike
    assert found.description["imported"]["left_out"] == ["Contempt"]
    assert found.description["source"]["name"] == "AffectNet"


def test_size_and_normalisation_can_be_given(tmp_path: Path) -> None:
    network = timm_file(tmp_path / "w.pt")
    half = (0.5, 0.5, 0.5)
    request = ImportRequest(str(tmp_path / "w.pt"), tmp_path / "m", NETWORK, EIGHT, 96, half, half)
    import_model(request)
    images = views()
    with torch.no_grad():
        p = open_model(tmp_path / "m").model(images)
    torch.testing.assert_close(p, expected(network, images, 96, half, half), rtol=0, atol=1e-5)


def test_torchvisions_network_and_a_class_that_it_lacks(tmp_path: Path) -> None:
    import torchvision

    torch.manual_seed(1)
    network = torchvision.models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=2).eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    request = ImportRequest(
        str(tmp_path / "w.safetensors"), tmp_path / "m", "torchvision:shufflenet_v2_x0_5", ["sad", "happy"], 64
    )
    import_model(request)
    with torch.no_grad():
        p = open_model(tmp_path / "m").model(views())
        images = F.interpolate(views(), size=(64, 64), mode="bilinear", antialias=True)
        own = network((images - torch.tensor(IMAGENET[0]).view(3, 1, 1)) / torch.tensor(IMAGENET[1]).view(3, 1, 1))
    known = [EXPRESSIONS.index("sadness"), EXPRESSIONS.index("happiness")]
    torch.testing.assert_close(p[:, known], own.softmax(dim=1), rtol=0, atol=1e-5)
    assert p[:, [label for label in range(7) if label not in known]].eq(0).all()


def refused(path: Path, message: str, error: type[PipelineError] = WeightsError, **changes: Any) -> None:
    values: dict[str, Any] = {"network": NETWORK, "classes": EIGHT, **changes}
    with pytest.raises(error) as caught:
        folder.built(state_dict.read(path, **values))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_networks_and_classes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    network = timm_file(path)
    refused(path, "7 names, but", ParamsError, classes=[name for name in EIGHT if name != "Fear"])
    refused(
        path,
        "no network 'test_eficientnet'; similar names: test_efficientnet",
        ParamsError,
        network="timm:test_eficientnet",
    )
    refused(path, "torchvision has no network 'resnet19'", ParamsError, network="torchvision:resnet19")
    refused(path, "does not end in a linear layer", ParamsError, network="torchvision:squeezenet1_1")
    refused(path, "write timm:NAME or torchvision:NAME", ParamsError, network="keras:resnet50")
    refused(path, "no linear classifier fc: no key that begins with fc.", network="timm:resnet18")
    state = network.state_dict()
    torch.save({**state, "classifier.weight": state["classifier.weight"][:, :9]}, path)
    refused(path, "the classifier takes 9 features, the network has 256")
    torch.save({key: value for key, value in state.items() if key != "conv_stem.weight"}, path)
    refused(path, "does not fit the network; missing: conv_stem.weight")
    torch.save({**state, "conv_stem.weight": state["conv_stem.weight"] * float("nan")}, path)
    refused(path, "no finite probabilities")


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("run-by-a-pickle"),))


def test_no_file_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in (("bomb.pt", Bomb()), ("within.pt", {"fc.weight": torch.zeros(1), "x": Bomb()})):
        torch.save(content, tmp_path / name)
        refused(tmp_path / name, "holds more than tensors")
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(Bomb()))
    refused(tmp_path / "bomb.pkl", "not a state dict")
    torch.save(timm_file(tmp_path / "w.pt"), tmp_path / "whole.pt")  # as HSEmotion's releases are
    refused(tmp_path / "whole.pt", 'torch.save(torch.load(FILE, weights_only=False)["state_dict"]')
    (tmp_path / "text.pt").write_text("no weights")
    refused(tmp_path / "text.pt", "not a state dict")
    refused(tmp_path / "gone.pt", "no such file; name fer, or a state dict")
    assert not Path("run-by-a-pickle").exists()
