"""Writing an imported network as a model folder."""

from pathlib import Path

import torch

from pipeline.data.crops import CROP_SIZE
from pipeline.errors import WeightsError
from pipeline.files.atomic import atomic_folder, require_free
from pipeline.importing.network import AUGMENT, ForeignNetwork
from pipeline.networks import saved
from pipeline.networks.network import LinearClassifier, PrototypeClassifier


def write(network: ForeignNetwork, out: Path) -> None:
    """Write the model into a new folder. If this fails, no folder is left behind.

    Args:
        network: the imported network.
        out: path of the folder, which must not exist.

    Raises:
        DatasetError: ``out`` exists.
        WeightsError: the tensors do not fit the network, or do not give probabilities.
        ParamsError: the network does not take pictures of this size.
        StorageError: a file cannot be written.
    """
    require_free(out, "--out")
    model = built(network)
    faces = network.faces.model_dump(mode="json")
    description = {
        "stage": "import",
        "source": {"name": network.trained_on, "provenance": "real", "faces": faces},
        "model": network.params.model_dump(),
        "augment": AUGMENT.model_dump(),
        "imported": {
            **network.origin,
            "classes": list(network.classes.names),
            "left_out": list(network.classes.left_out),
            "missing": list(network.classes.missing),
        },
        "environment": {},
    }
    with atomic_folder(out) as folder:
        saved.save(folder, dict(model.named_children()), description)


def built(network: ForeignNetwork) -> PrototypeClassifier:
    """Return the model in evaluation mode, with outputs in the order of EXPRESSIONS and without other classes.

    The softmax over the remaining outputs equals the softmax over all outputs, normalised to sum 1 again.

    Raises:
        WeightsError: the tensors do not fit the network, or do not give probabilities.
        ParamsError: the network does not take pictures of this size.
    """
    model = PrototypeClassifier.untrained(network.params)
    encoder, classifier, origin = model.network.encoder, model.prototypes, network.trunk.origin
    assert isinstance(classifier, LinearClassifier)
    saved.load_checked(encoder.trunk, network.trunk.tensors, origin, network.trunk.ignored)
    if encoder.dim != network.weight.shape[1]:
        raise WeightsError(
            f"{origin}: the classifier takes {network.weight.shape[1]} features, the network has {encoder.dim}"
        )
    rows = network.classes.rows
    with torch.no_grad():
        classifier.matrix.zero_()
        classifier.matrix[list(rows)] = network.weight[list(rows.values())]
        classifier.bias[list(rows)] = network.bias[list(rows.values())]
        model.decision.restrict(rows)
        model.eval()
        if not bool(model(torch.full((1, 3, CROP_SIZE, CROP_SIZE), 0.5)).isfinite().all()):
            raise WeightsError(f"{origin}: a grey picture has no finite probabilities; the weights are damaged")
    return model
