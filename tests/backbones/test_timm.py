"""timm's networks by name: shapes, sizes, weights without a download, and what is said of what is not there."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from pipeline.backbones import timm as entry
from pipeline.config.learning import ModelParams
from pipeline.config.load import load
from pipeline.config.preflight import require_inputs
from pipeline.errors import ParamsError, WeightsError
from pipeline.networks.initial_weights import load_initial
from pipeline.networks.network import Encoder, InputNorm

ROOT = Path(__file__).parents[2]


def params(architecture: str, weights: str = "none", **others: Any) -> ModelParams:
    return ModelParams(
        backbone="timm",
        architecture=architecture,
        weights=weights,
        projection_hidden=16,
        projection_dim=8,
        **others,
    )


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("the network was touched")

    for call in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, call, refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("architecture", "input_size", "dim"),
    [
        ("resnet18.a1_in1k", None, 512),
        ("mobilenetv3_small_100", 64, 1024),  # its num_features says 576
        ("convnext_atto", None, 320),
        ("vit_tiny_patch16_224", None, 192),
        ("vit_tiny_patch16_224", 224, 192),
        ("swin_tiny_patch4_window7_224", None, 768),
    ],
)
def test_shapes_without_a_download(architecture: str, input_size: int | None, dim: int) -> None:
    encoder = Encoder(params(architecture, input_size=input_size))
    assert load_initial(encoder, params(architecture, input_size=input_size)) == {"weights": "none"}
    assert isinstance(encoder.norm, torch.nn.Identity)
    assert encoder.trunk.training
    with torch.no_grad():
        features = encoder.eval()(torch.rand(2, 3, 112, 112))
    assert encoder.dim == dim
    assert features.shape == (2, dim)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))


def test_it_is_timms_own_network() -> None:
    torch.manual_seed(0)
    encoder = Encoder(params("resnet10t")).eval()
    torch.manual_seed(0)
    reference = timm.create_model("resnet10t", num_classes=0).eval()
    images = torch.rand(2, 3, 112, 112)
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), torch.nn.functional.normalize(reference(images)))


def test_unknown_names_bring_similar_ones() -> None:
    with pytest.raises(ParamsError, match=r"no network 'resnet81'; similar names: .*resnet18.*list_models") as caught:
        Encoder(params("resnet81"))
    assert len(str(caught.value)) < 300
    with pytest.raises(ParamsError, match=r"no network 'resnet18.nobody'; similar names: resnet18"):
        Encoder(params("resnet18.nobody"))


@pytest.mark.usefixtures("no_network")
def test_names_that_timm_would_look_for_elsewhere_are_unknown() -> None:
    for name in ("hf-hub:timm/resnet18.a1_in1k", "local-dir:/tmp"):
        with pytest.raises(ParamsError, match=f"no network '{name}'"):
            Encoder(params(name))


def test_a_network_that_cannot_take_the_size_is_told() -> None:
    with pytest.raises(ParamsError, match=r"inception_v3 cannot take pictures of 64×64 pixels .* own size is 299×299"):
        Encoder(params("inception_v3", input_size=64))
    with pytest.raises(ParamsError, match=r"efficientformerv2_s0 cannot take pictures of 112×112 .* size is 224×224"):
        Encoder(params("efficientformerv2_s0"))


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ParamsError, match=r"timm is not installed .*pip install 'pocan\[timm\]'"):
        Encoder(params("resnet18"))
    settings = load(ROOT / "params.yaml", ["model.backbone=timm", "model.architecture=resnet18"])
    with pytest.raises(ParamsError, match=r"pip install 'pocan\[timm\]'"):
        require_inputs(settings)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_pretrained_weights_are_timms_with_their_normalisation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    published = timm.create_model(name).state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(published))
    chosen = params(name, "pretrained")
    encoder = Encoder(chosen)
    record = load_initial(encoder, chosen)
    assert record["weights_name"].startswith(f"timm {name}.")
    loaded = encoder.trunk.state_dict()
    kept = [key for key in loaded if key != "pos_embed"]  # resampled from 14×14 to 7×7 places
    assert all(torch.equal(loaded[key], published[key]) for key in kept)
    assert isinstance(encoder.norm, InputNorm)
    own = timm.get_pretrained_cfg(name)
    assert own is not None
    shown = encoder.norm(torch.ones(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(shown, (1 - torch.tensor(own.mean)) / torch.tensor(own.std))


def test_weights_that_cannot_be_downloaded_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    chosen = params("resnet10t", "pretrained")
    with pytest.raises(WeightsError, match="timm's weights of resnet10t cannot be had: no route to host"):
        load_initial(Encoder(chosen), chosen)


def state_of(name: str) -> dict[str, Tensor]:
    torch.manual_seed(4)
    state: dict[str, Tensor] = timm.create_model(name).state_dict()
    return state


@pytest.mark.parametrize("form", ["plain.pth", "wrapped.pth", "model.safetensors"])
def test_a_users_file_with_its_classifier(form: str, tmp_path: Path) -> None:
    state, path = state_of("resnet10t"), tmp_path / form
    if form == "plain.pth":
        torch.save(state, path)
    elif form == "wrapped.pth":
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    else:
        save_file(state, path)
    chosen = params("resnet10t", "file", weights_file=str(path))
    encoder = Encoder(chosen)
    record = load_initial(encoder, chosen)
    assert (record["weights_name"], len(record["weights_sha256"])) == (form, 64)
    assert isinstance(encoder.norm, InputNorm)
    assert all(torch.equal(value, state[key]) for key, value in encoder.trunk.state_dict().items())


def test_a_users_file_that_does_not_fit_is_told_by_name(tmp_path: Path) -> None:
    state = {**state_of("resnet10t"), "layer9.weight": torch.zeros(1)}
    del state["layer1.0.conv1.weight"]
    torch.save(state, tmp_path / "w.pth")
    chosen = params("resnet10t", "file", weights_file=str(tmp_path / "w.pth"))
    with pytest.raises(WeightsError, match=r"missing: layer1\.0\.conv1\.weight; unexpected: layer9\.weight$"):
        load_initial(Encoder(chosen), chosen)
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"w\.safetensors: not a state dict"):
        entry.read_file_of("resnet10t", tmp_path / "w.safetensors")
