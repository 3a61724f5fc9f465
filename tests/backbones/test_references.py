"""facenet and iresnet50 against the networks of their weights' authors, by way of a weight file as users bring it.

The references were recorded with seeded weights by ``tests.data.record_backbone_references``.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.backbones.iresnet50 import read_adaface
from pipeline.config.learning import ModelParams
from pipeline.errors import WeightsError
from pipeline.networks.initial_weights import load_initial
from pipeline.networks.network import Encoder
from tests.backbones.seeded import Shapes, digest, picture, seeded_weights, shapes_of

RECORDS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data/backbone_references.json").read_text())[
    "records"
]
TOLERANCE = 1e-5
"""Of single values of a unit vector; one CPU's sums differ from another's by less than a tenth of it."""


def params(backbone: str, weights: str, path: Path, input_size: int | None = None) -> ModelParams:
    return ModelParams(
        backbone=backbone,
        weights=weights,
        weights_file=str(path),
        input_size=input_size,
        projection_hidden=16,
        projection_dim=8,
    )


def recorded_picture(size: int) -> Tensor:
    pixels = torch.from_numpy(picture(size, RECORDS["facenet at 160"]["seed"])).permute(2, 0, 1)[None]
    return pixels.float() / 255


def trunk_shapes(backbone: str, weights: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):  # which has shapes and no values
        return shapes_of(Encoder(params(backbone, weights, Path("unused"))).trunk)


def adaface_shapes() -> dict[str, tuple[int, ...]]:
    """AdaFace's ir_50 in its own words."""

    def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}

    shapes = {"input_layer.0.weight": (64, 3, 3, 3), **norm("input_layer.1", 64), "input_layer.2.weight": (64,)}
    widths = [64] * 3 + [128] * 4 + [256] * 14 + [512] * 3
    for place, (narrow, wide) in enumerate(itertools.pairwise([64, *widths])):
        inner = f"body.{place}.res_layer"
        shapes |= {f"{inner}.1.weight": (wide, narrow, 3, 3), f"{inner}.4.weight": (wide, wide, 3, 3)}
        shapes |= norm(f"{inner}.0", narrow) | norm(f"{inner}.2", wide) | norm(f"{inner}.5", wide)
        shapes[f"{inner}.3.weight"] = (wide,)
        if narrow != wide:
            shortcut = f"body.{place}.shortcut_layer"
            shapes |= {f"{shortcut}.0.weight": (wide, narrow, 1, 1), **norm(f"{shortcut}.1", wide)}
    last = {"output_layer.4.running_mean": (512,), "output_layer.4.running_var": (512,)}
    dense = {"output_layer.3.weight": (512, 25088), "output_layer.3.bias": (512,)}
    return {**shapes, **norm("output_layer.0", 512), **dense, **last}


def file_shapes(backbone: str, weights: str) -> Shapes:
    return adaface_shapes() if weights == "adaface" else trunk_shapes(backbone, weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("record", "backbone", "weights"),
    [
        ("facenet at 160", "facenet", "vggface2"),
        ("facenet at 112", "facenet", "casia_webface"),
        ("iresnet50, arcface", "iresnet50", "arcface"),
        ("iresnet50, adaface", "iresnet50", "adaface"),
    ],
)
def test_the_authors_network_makes_the_same_of_the_same_file(
    record: str, backbone: str, weights: str, tmp_path: Path
) -> None:
    reference = RECORDS[record]
    shapes = file_shapes(backbone, weights)
    assert digest(shapes) == reference["shapes"], "the authors' weight files have other names or shapes"
    path = tmp_path / "released.pt"
    torch.save(seeded_weights(shapes, reference["seed"], reference["gain"]), path)
    size = reference["size"]
    chosen = params(backbone, weights, path, None if size == 112 else size)
    encoder = Encoder(chosen).eval()
    load_initial(encoder, chosen)
    images = recorded_picture(size)
    with torch.no_grad():
        found, of_bgr = encoder(torch.cat([images, images.flip(1)]))
    expected = torch.tensor(reference["unit"])
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
    assert float((of_bgr - expected).abs().max()) > 1000 * TOLERANCE, "the order of the channels would not be noticed"


@pytest.fixture(scope="module")
def facenet_state() -> dict[str, Tensor]:
    return seeded_weights(trunk_shapes("facenet", "vggface2"), 1)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
def test_facenets_prefixes_and_classifier(prefix: str, facenet_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    whole = {**facenet_state, "logits.weight": torch.zeros(8631, 512), "logits.bias": torch.zeros(8631)}
    torch.save({f"{prefix}{key}": value for key, value in whole.items()}, path)
    chosen = params("facenet", "vggface2", path)
    encoder = Encoder(chosen)
    record = load_initial(encoder, chosen)
    assert (record["weights"], record["weights_name"]) == ("vggface2", "w.pt")
    assert all(torch.equal(encoder.trunk.state_dict()[key], value) for key, value in facenet_state.items())


def test_facenets_faults_are_named(facenet_state: dict[str, Tensor], tmp_path: Path) -> None:
    state = {**facenet_state, "layer9.weight": torch.zeros(1), "last_bn.bias": torch.zeros(3)}
    del state["repeat_2.7.branch1.2.conv.weight"]
    torch.save(state, tmp_path / "bad.pt")
    chosen = params("facenet", "casia_webface", tmp_path / "bad.pt")
    with pytest.raises(WeightsError) as caught:
        load_initial(Encoder(chosen), chosen)
    message = str(caught.value)
    assert "missing: repeat_2.7.branch1.2.conv.weight" in message
    assert "unexpected: layer9.weight" in message
    assert "last_bn.bias is (3,), expected (512,)" in message


@pytest.mark.slow
def test_adafaces_checkpoint_and_its_faults(tmp_path: Path) -> None:
    state = {f"model.{key}": torch.zeros(shape) for key, shape in adaface_shapes().items()}
    state |= {"head.kernel": torch.zeros(512, 10), "head.t": torch.zeros(1)}
    path = tmp_path / "adaface_ir50_ms1mv2.ckpt"
    torch.save({"state_dict": state}, path)
    chosen = params("iresnet50", "adaface", path)
    encoder = Encoder(chosen)
    load_initial(encoder, chosen)
    assert encoder.trunk.state_dict()["features.weight"].eq(1).all()
    assert encoder.trunk.state_dict()["layer3.13.conv2.weight"].eq(0).all()
    state["model.body.24.res_layer.1.weight"] = state.pop("model.body.23.res_layer.1.weight")
    state["model.body.3.res_layer.6.weight"] = torch.zeros(1)
    torch.save({"state_dict": state}, path)
    with pytest.raises(WeightsError) as caught:
        load_initial(encoder, chosen)
    message = str(caught.value)
    assert "AdaFace's layers by insightface's names" in message
    assert "missing: layer4.2.conv1.weight" in message
    assert "unexpected: body.24.res_layer.1.weight, body.3.res_layer.6.weight" in message
    assert "head" not in message
    assert read_adaface(path).record["weights_name"] == path.name


def test_arcface_files_are_no_adaface_files(tmp_path: Path) -> None:
    path = tmp_path / "backbone.pth"
    torch.save({key: torch.zeros(1) for key in trunk_shapes("iresnet50", "arcface")}, path)
    chosen = params("iresnet50", "adaface", path)
    with pytest.raises(WeightsError, match=r"unexpected: layer1\.0\.downsample\.0\.weight"):
        load_initial(Encoder(chosen), chosen)
    with pytest.raises(ValueError, match="pictures for iresnet50 may have a side of 112 only"):
        params("iresnet50", "arcface", path, 160)


def test_facenet_takes_every_size_it_says() -> None:
    chosen = params("facenet", "vggface2", Path("unused"), 75)
    with torch.no_grad():
        assert Encoder(chosen).eval()(torch.rand(1, 3, 112, 112)).shape == (1, 512)
    with pytest.raises(ValueError, match="pictures for facenet may have a side of 75 to 1024"):
        params("facenet", "vggface2", Path("unused"), 74)
