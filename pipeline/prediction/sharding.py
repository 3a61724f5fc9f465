"""Predictions of a part of the inputs, and the parts as the rows of one run."""

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
"""The file of the rows, whatever their format."""

AT_ONCE = 1 << 20
"""Bytes that are copied at a time."""


def predict_shard(
    named: Sequence[Named],
    shard: Shard,
    predictor: Predictor,
    model: str,
    folder: Path,
    kind: Format,
    every: int,
) -> Counts:
    """Write every face of a part of the inputs.

    Args:
        named: all inputs.
        shard: which part.
        predictor: finds and classifies the faces.
        model: what its model is called in the rows.
        folder: a new one, for the rows and what they are.
        kind: the format of the rows.
        every: of a video, only every so many-th frame is looked at.

    Raises:
        DatasetError: an input of this part is not there or cannot be opened, or there is a camera among all.
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
    """All but the pictures that decides the rows, by name."""
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
    """Write the rows of all parts as one run would have.

    Args:
        shards: as ``read_shards`` gives them.
        out: a new file.

    Returns:
        How many faces there are in how much, in words.

    Raises:
        DatasetError: ``out`` is there already, or no part has a face.
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
