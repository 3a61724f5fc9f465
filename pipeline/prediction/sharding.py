"""Predictions of one shard of the inputs, and joining the rows of all shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import DatasetError
from pipeline.files.atomic import atomic_folder, atomic_path, require_free
from pipeline.prediction.inputs import Named, sources_of
from pipeline.prediction.outputs import Destination, Format, header
from pipeline.prediction.predict import Counts, in_words, predict
from pipeline.prediction.predictor import Predictor
from pipeline.progress import progress_bar
from pipeline.shards import FoundShard, Shard, computed_with, listing_digest, write_shard

KIND = "predictions"
ROWS = "rows"
"""Name of the file with the rows, in any format."""

AT_ONCE = 1 << 20
"""Block size for copying, in bytes."""


def predict_shard(
    named: Sequence[Named],
    shard: Shard,
    predictor: Predictor,
    model: str,
    folder: Path,
    kind: Format,
    every: int,
) -> Counts:
    """Predict and write every face of one shard of the inputs.

    Args:
        named: all inputs.
        shard: the shard.
        predictor: finds and classifies the faces.
        model: name of the model in the rows.
        folder: a new folder for the rows and the shard's record.
        kind: format of the rows.
        every: use only every n-th frame of a video.

    Raises:
        DatasetError: an input of this shard is missing or cannot be opened, or one of the inputs is a camera.
        StorageError: the folder cannot be written.
    """
    if any(one.camera for one in named):
        raise DatasetError("a camera cannot be divided: leave out --shard")
    listing = listing_digest(one.path for one in named)
    own = sources_of(named, shard)
    with atomic_folder(folder) as temporary:
        to = Destination(temporary / ROWS, kind, None)
        counts = predict(own, predictor, model, to, every, show_progress=True, require_faces=False)
        found = {"faces": counts.faces, "pictures": counts.pictures, "frames": counts.frames}
        write_shard(temporary, KIND, shard, listing, _made_from(predictor, model, kind, every), found)
    return counts


def _made_from(predictor: Predictor, model: str, kind: Format, every: int) -> dict[str, Any]:
    """Return everything that the rows depend on except the pictures, by name."""
    faces = {f"faces.{name}": value for name, value in predictor.faces.model_dump(mode="json").items()}
    made_by = {
        "--model": model,
        "weights of the model": predictor.digest,
        "augment.eval_crop of the model": predictor.eval_crop,
        "learned from drawings": predictor.drawn,
        "device": predictor.device.type,
    }
    return {**faces, **made_by, "--format": kind, "--every": every, **computed_with()}


def join_rows(shards: Sequence[FoundShard], out: Path) -> str:
    """Write the rows of all shards to one file, identical to that of a single run.

    Args:
        shards: the result of ``read_shards``.
        out: a new file.

    Returns:
        The number of faces, pictures and frames in words.

    Raises:
        DatasetError: ``out`` already exists, or no shard has a face.
        StorageError: it cannot be written.
    """
    require_free(out, "--out")
    counts = {name: sum(shard.record.counts[name] for shard in shards) for name in ("faces", "pictures", "frames")}
    looked_at = in_words(counts["pictures"], counts["frames"])
    if not counts["faces"]:
        raise DatasetError(f"no face found in {looked_at or 'any shard'}")
    top = header(shards[0].record.made_from["--format"]).encode()
    with atomic_path(out) as temporary, temporary.open("wb") as rows:
        rows.write(top)
        for shard in progress_bar(shards, desc="join", unit="shard"):
            with (shard.folder / ROWS).open("rb") as part:
                part.seek(len(top) if shard.record.counts["faces"] else 0)
                while block := part.read(AT_ONCE):
                    rows.write(block)
    return f"{counts['faces']} face{'' if counts['faces'] == 1 else 's'} in {looked_at}"
