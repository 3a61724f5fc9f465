"""Encoder, head and prototypes: shapes, norms, input normalisation, and the geometry that VGGFace2 weights need."""

import hashlib
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from pipeline.backbones import BACKBONES
from pipeline.backbones.parts import entry
from pipeline.backbones.parts.resnet import ResNet
from pipeline.backbones.resnet50 import read_vggface2
from pipeline.config.learning import ModelParams
from pipeline.data.crops import CROP_SIZE
from pipeline.errors import WeightsError
from pipeline.losses.contrastive import spread
from pipeline.networks import saved
from pipeline.networks.initial_weights import load_initial
from pipeline.networks.network import (
    Decision,
    Encoder,
    InputNorm,
    Network,
    ProjectionHead,
    PrototypeClassifier,
    Prototypes,
)

SMALL = ModelParams(backbone="resnet10", weights="none", projection_hidden=16, projection_dim=8)


def vggface2_params(path: Path) -> ModelParams:
    return ModelParams(
        backbone="resnet50", weights="vggface2", weights_file=str(path), projection_hidden=16, projection_dim=8
    )


@pytest.fixture(scope="module")
def vggface2_state() -> dict[str, torch.Tensor]:
    """Random weights with the keys of the PyTorch exports: a ResNet-50 with its classifier of 8,631 people."""
    torch.manual_seed(0)
    trunk = Encoder(vggface2_params(Path("unused"))).trunk.state_dict()
    state = {key: value for key, value in trunk.items() if not key.endswith("num_batches_tracked")}
    return {**state, "fc.weight": torch.zeros(8631, 2048), "fc.bias": torch.zeros(8631)}


@pytest.mark.parametrize(
    ("backbone", "dim"), [("resnet10", 256), ("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)]
)
def test_shapes_and_norms(backbone: Literal["resnet10", "resnet18", "resnet34", "resnet50"], dim: int) -> None:
    network = Network(SMALL.model_copy(update={"backbone": backbone})).eval()
    images = torch.rand(2, 3, 112, 112)
    with torch.no_grad():
        features, z = network.encoder(images), network(images)
    assert features.shape == (2, dim)
    assert z.shape == (2, 8)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(z.norm(dim=1), torch.ones(2))


def test_the_crops_are_resized_to_the_input_size() -> None:
    square = torch.zeros(1, 3, 112, 112)
    square[..., 28:84, 28:84] = 1.0
    for size in (224, 56):
        encoder = Encoder(SMALL.model_copy(update={"input_size": size}))
        resized = encoder.size(square)
        assert resized.shape == (1, 3, size, size)
        torch.testing.assert_close(resized.mean(), square.mean(), rtol=0, atol=1e-3)
        middle = slice(size // 4 + 2, size - size // 4 - 2)
        torch.testing.assert_close(resized[..., middle, middle], torch.ones_like(resized[..., middle, middle]))
    stripes = torch.zeros(1, 3, 112, 112)
    stripes[..., ::2] = 1.0
    shrunk = Encoder(SMALL.model_copy(update={"input_size": 40})).size(stripes)
    assert float(shrunk.std()) < 0.1, "finer patterns than pixels must vanish, not fold over"


def test_the_crops_own_size_needs_no_resizing() -> None:
    assert entry.CROPS == CROP_SIZE
    for size in (None, CROP_SIZE):
        assert isinstance(Encoder(SMALL.model_copy(update={"input_size": size})).size, torch.nn.Identity)


def projection_head(params: ModelParams) -> ProjectionHead:
    head = Network(params).head
    assert isinstance(head, ProjectionHead)
    return head


def test_head_is_linear_norm_relu_linear_without_bias() -> None:
    layers = projection_head(SMALL).layers
    assert [type(layer).__name__ for layer in layers] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert [layer.bias is not None for layer in layers if isinstance(layer, torch.nn.Linear)] == [True, False]


def test_a_norm_of_the_projections_is_the_heads_last_layer_and_spreads_them_whatever_the_weights() -> None:
    norm = projection_head(SMALL.model_copy(update={"projection_norm": "batch"})).layers[-1]
    assert isinstance(norm, torch.nn.BatchNorm1d)
    assert list(norm.parameters()) == []
    torch.manual_seed(0)
    heads = {name: ProjectionHead(256, 16, 8, name) for name in ("none", "batch")}
    for head in heads.values():
        last = [layer for layer in head.layers if isinstance(layer, torch.nn.Linear)][-1]
        last.weight.data.copy_(1e-3 * torch.randn(8, 16) + torch.linspace(1, 2, 8)[:, None])  # all but one direction
    features = torch.nn.functional.normalize(torch.randn(64, 256))
    found = {name: spread(head(features)).item() for name, head in heads.items()}
    assert found["none"] < 0.01
    assert found["batch"] == pytest.approx(1.0, abs=0.1)
    with torch.no_grad():
        hidden = heads["batch"].layers[:-1](features)
    expected = (hidden - hidden.mean(0)) / torch.sqrt(hidden.var(0, unbiased=False) + 1e-5)
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(heads["batch"](features).detach(), expected, rtol=1e-4, atol=1e-5)


def test_prototype_logits_are_inner_products() -> None:
    prototypes = Prototypes(8)
    z = torch.randn(5, 8)
    torch.testing.assert_close(prototypes(z), z @ prototypes.matrix.T)
    assert [name for name, _ in prototypes.named_parameters()] == ["matrix"]


def test_the_classifier_gives_probabilities() -> None:
    model = PrototypeClassifier(Network(SMALL), Prototypes(8)).eval()
    with torch.no_grad():
        probabilities = model(torch.rand(3, 3, 112, 112))
    assert probabilities.shape == (3, 7)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))


def norm_of(weights: str) -> InputNorm:
    norm = BACKBONES["resnet50"].weights[weights].norm
    assert norm is not None
    return InputNorm(norm)


def test_input_normalisations() -> None:
    red = torch.zeros(1, 3, 2, 2)
    red[:, 0] = 1.0
    vggface2 = norm_of("vggface2")(red)[0, :, 0, 0]
    torch.testing.assert_close(vggface2, torch.tensor([-91.4953, -103.8827, 255 - 131.0912]))
    imagenet = norm_of("imagenet")(red)[0, :, 0, 0]
    torch.testing.assert_close(imagenet, torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]))
    assert isinstance(Encoder(SMALL).norm, torch.nn.Identity)


def test_vggface2_geometry_strides_in_the_first_convolution() -> None:
    trunk = Encoder(vggface2_params(Path("unused"))).trunk
    assert isinstance(trunk, ResNet)
    for stage in (trunk.layer2, trunk.layer3, trunk.layer4):
        assert stage[0].conv1.stride == (2, 2)
        assert stage[0].conv2.stride == (1, 1)
    # ceil mode without padding: 112 → 56, where torchvision's padded pooling gives 56 from 112 too; 56 is the check
    assert trunk.maxpool(torch.zeros(1, 1, 57, 57)).shape[-1] == 28
    assert trunk.maxpool.padding == 0


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain.pth", "wrapped.pt", "numpy.pkl"])
def test_vggface2_weights_load_from_each_export(
    form: str, vggface2_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / form
    if form == "plain.pth":
        torch.save(OrderedDict(vggface2_state), path)
    elif form == "wrapped.pt":
        torch.save({"state_dict": {f"module.{key}": value for key, value in vggface2_state.items()}}, path)
    else:
        arrays = {key: value.numpy() for key, value in vggface2_state.items()}
        path.write_bytes(pickle.dumps(arrays, protocol=2))
    params = vggface2_params(path)
    torch.manual_seed(1)
    encoder = Encoder(params)
    record = load_initial(encoder, params)
    assert record["weights_name"] == form
    assert len(record["weights_sha256"]) == 64
    for key, value in encoder.trunk.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, vggface2_state[key]), key


def test_vggface2_faults_are_named(vggface2_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    state = dict(vggface2_state)
    del state["conv1.weight"]
    state["layer9.weight"] = torch.zeros(1)
    state["bn1.weight"] = torch.zeros(63)
    torch.save(state, tmp_path / "bad.pth")
    params = vggface2_params(tmp_path / "bad.pth")
    with pytest.raises(WeightsError) as caught:
        load_initial(Encoder(params), params)
    message = str(caught.value)
    assert "missing: conv1.weight" in message
    assert "unexpected: layer9.weight" in message
    assert "bn1.weight is (63,), expected (64,)" in message
    assert "bad.pth" in message


class Evil:
    def __reduce__(self) -> Any:
        return print, ("code ran",)


@pytest.mark.parametrize("content", [b"", b"not weights", pickle.dumps(Evil()), pickle.dumps([1, 2])])
@pytest.mark.parametrize("name", ["w.pkl", "w.pth"])
def test_files_that_are_no_weights(
    content: bytes, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        read_vggface2(tmp_path / name)
    assert "code ran" not in capsys.readouterr().out


def test_a_checkpoint_with_more_than_tensors_says_how_to_keep_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": {"weight": torch.zeros(1)}, "callbacks": Evil()}, tmp_path / "w.ckpt")
    with pytest.raises(WeightsError, match=r"w\.ckpt: holds more than tensors, .*state_dict"):
        read_vggface2(tmp_path / "w.ckpt")
    assert "code ran" not in capsys.readouterr().out


def test_missing_weights_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"model\.weights_file: .*gone\.pth: no such file"):
        read_vggface2(tmp_path / "gone.pth")


def test_model_round_trip_and_same_bytes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, prototypes = Network(SMALL), Prototypes(8)
    for folder in ("a", "b"):
        saved.save(tmp_path / folder, {"network": network, "prototypes": prototypes}, {"seed": 0})
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    other, others = Network(SMALL), Prototypes(8)
    description = saved.load(tmp_path / "a", {"network": other, "prototypes": others})
    digest = hashlib.sha256((tmp_path / "a/model.safetensors").read_bytes()).hexdigest()
    assert description == {"seed": 0, "format": saved.FORMAT, "weights_sha256": digest}
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    assert torch.equal(prototypes.matrix, others.matrix)


def test_model_of_another_size_is_refused_by_tensor(tmp_path: Path) -> None:
    saved.save(tmp_path, {"network": Network(SMALL)}, {})
    wider = Network(SMALL.model_copy(update={"projection_hidden": 32}))
    with pytest.raises(WeightsError, match=r"head\.layers\.0\.weight is \(16, 256\), expected \(32, 256\)"):
        saved.load(tmp_path, {"network": wider})


def test_a_model_that_is_saved_again_has_nothing_of_a_killed_writer_beside_it(tmp_path: Path) -> None:
    for leftover in (".model.safetensors.part-abcd_123.safetensors", ".model.json.part-abcd_123.json"):
        (tmp_path / leftover).touch()
    saved.save(tmp_path, {"p": Prototypes(8)}, {})
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.safetensors"}


def test_missing_and_damaged_models(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file; run the stage"):
        saved.load(tmp_path / "nowhere", {})
    saved.save(tmp_path, {"p": Prototypes(8)}, {})
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 10)
    with pytest.raises(WeightsError, match="damaged"):
        saved.load(tmp_path, {"p": Prototypes(8)})
    description = (tmp_path / "model.json").read_bytes()
    other = Prototypes(8)
    with torch.no_grad():
        other.matrix.add_(1)
    saved.save(tmp_path, {"p": other}, {})
    (tmp_path / "model.json").write_bytes(description)
    with pytest.raises(WeightsError, match=r"damaged \(its SHA-256 is not the one in model\.json\)"):
        saved.load(tmp_path, {"p": Prototypes(8)})
    assert np.prod(Prototypes(8).matrix.shape) == 56


def test_a_decision_knows_nothing_at_first() -> None:
    logits = torch.randn(5, 7)
    assert torch.allclose(Decision()(logits), torch.softmax(logits, dim=1))


def test_logit_adjustment_divides_by_the_shares() -> None:
    decision, logits = Decision(), torch.randn(5, 7)
    shares = torch.tensor([0.4, 0.1, 0.1, 0.2, 0.1, 0.1, 0.0])
    decision.adjust(shares, 1.0)
    expected = torch.softmax(logits, dim=1) / torch.where(shares > 0, shares, 1.0)
    assert torch.allclose(decision(logits), expected / expected.sum(dim=1, keepdim=True))
    decision.adjust(shares, 0.0)
    assert torch.allclose(decision(logits), torch.softmax(logits, dim=1))


def test_another_decision_comes_from_the_probabilities_of_this_one() -> None:
    decision, logits = Decision(), torch.randn(5, 7)
    decision.restrict([0, 1, 2, 5])
    decision.adjust(torch.tensor([0.4, 0.1, 0.1, 0.2, 0.1, 0.1, 0.0]), 1.0)
    other = decision.adjusted(torch.tensor([0.1, 0.5, 0.1, 0.0, 0.1, 0.1, 0.1]), 0.5)
    assert torch.allclose(decision.convert(decision(logits), other), other(logits))


def test_what_cannot_occur_is_never_predicted() -> None:
    decision, logits = Decision(), torch.randn(50, 7)
    decision.restrict([0, 1, 5])
    found = decision(logits)
    assert bool((found[:, [2, 3, 4, 6]] == 0).all())
    assert torch.allclose(found[:, [0, 1, 5]], torch.softmax(logits[:, [0, 1, 5]], dim=1))
