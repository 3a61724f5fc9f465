"""Sections of a model card: use in Python, ONNX Runtime and HTTP, cropping of faces, speed, licences."""

import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.backbones import BACKBONES
from pipeline.config.pictures import FaceParams
from pipeline.data.crops import CROP_SIZE
from pipeline.exporting import onnx
from pipeline.labels import EXPRESSIONS
from pipeline.locks import importing_joblib
from pipeline.networks.trained import TrainedModel

BATCH = 32
RUNS, FEWEST_RUNS, SECONDS = 30, 5, 2.0
"""A measurement has 30 runs, or as many as fit into 2 seconds, but at least 5."""

TERMS = {
    "rafdb": "its authors' terms, given on request to institutions",
    "ckplus": "its owners' agreement form",
    "ckplus48": "those of CK+, its owners' agreement form",
    "jaffe": "its owners' terms, given on request",
    "oulu": "its owners' licence agreement",
    "fer2013": "the rules of Kaggle's challenge in representation learning",
    "sfew": "its authors' licence agreement",
}
"""Terms of use of the data sets, as published by their owners (docs/datasets.md)."""


@dataclass(frozen=True)
class Latency:
    """Latency of ONNX Runtime on this processor, in milliseconds per crop.

    Attributes:
        one: median for a single crop.
        batch: median per crop, in batches of ``BATCH``.
        processor: name of the processor.
        threads: number of usable processor cores.
    """

    one: float
    batch: float
    processor: str
    threads: int


def measured(path: Path) -> Latency:
    """Measure the latency of an exported model, after a warm-up run.

    Raises:
        ParamsError: ONNX Runtime is not installed.
    """
    with importing_joblib():
        from joblib import cpu_count

    predict = onnx.predictor(path)
    crops = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (BATCH, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    medians = []
    for size in (1, BATCH):
        predict(crops[:size])
        taken: list[float] = []
        while len(taken) < RUNS and (len(taken) < FEWEST_RUNS or sum(taken) < SECONDS):
            start = time.perf_counter()
            predict(crops[:size])
            taken.append(time.perf_counter() - start)
        medians.append(1000 * statistics.median(taken) / size)
    return Latency(medians[0], medians[1], _processor(), cpu_count())


def _processor() -> str:
    """Return the processor's name, or its architecture if the name is unknown."""
    listed = Path("/proc/cpuinfo")
    for line in listed.read_text(encoding="utf-8", errors="replace").splitlines() if listed.is_file() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or "a processor without a name"


def how_to_use(called: str) -> str:
    """Return code for three ways of use; ``called`` is the folder or URI of the model."""
    return f"""\
In Python, from pictures to faces with their expressions (needs this project: `pip install` from its folder):

```python
import pocan

model = pocan.load_model({called!r})
for face in model.predict("party.jpg"):
    print(face.box, face.expression, face.probabilities)
```

With ONNX Runtime, without this project, from crops (below) to probabilities:

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
crops = np.zeros((1, {CROP_SIZE}, {CROP_SIZE}, 3), dtype=np.uint8)  # one face each, RGB
(probabilities,) = session.run(None, {{"crops": crops}})
names = {EXPRESSIONS!r}
print([names[index] for index in probabilities.argmax(axis=1)])
```

With HTTP, if MLflow has the model (MODEL is its URI, e.g. `models:/NAME@newest`):

```
mlflow models serve -m MODEL --env-manager local --port 5001
printf '{{"inputs": ["%s"]}}' "$(base64 -w0 party.jpg)" |
    curl -s http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' -d @-
```"""


def crop_recipe(faces: FaceParams) -> str:
    """Describe how faces are cropped for the model."""
    if faces.align == "similarity":
        shape = (
            "its five landmarks (eyes, nose, corners of the mouth) are moved by rotation, scale and shift onto the "
            f"standard template of {CROP_SIZE}×{CROP_SIZE} pixels, widened by {faces.margin:g} of the side on each side"
        )
    else:
        square = " made a square as long as its longer side and" if faces.align == "square" else ""
        shape = (
            f"its box,{square} widened by {faces.margin:g} of its width and height on each side, rounded to whole "
            f"pixels and cut off at the picture's edge, is resized to {CROP_SIZE}×{CROP_SIZE} pixels, whatever its "
            "proportions"
        )
    thresholds = ", ".join(f"{value:g}" for value in faces.thresholds)
    return "\n".join(
        [
            "1. Turn the picture upright by its Exif data; RGB, 8 bits.",
            f"2. Find faces with MTCNN: at least {faces.min_face} pixels, scale factor {faces.scale_factor:g}, "
            f"thresholds {thresholds}. A picture with a shorter side below {faces.enlarge_to} is enlarged to it.",
            f"3. Of each face {shape}. Larger faces are shrunk by area averages (OpenCV's INTER_AREA), smaller ones "
            f"enlarged by {faces.upscale} interpolation.",
            f"4. The crop, uint8 {CROP_SIZE}×{CROP_SIZE}×3, is the input: scaling, central crop and normalisation "
            "are inside the file.",
            "",
            "The model was not trained on other crops, for example wider ones. All parameters are in the file's "
            "metadata, key `faces`.",
        ]
    )


def speed(found: Latency) -> str:
    """Describe the measured latency."""
    return (
        f"{found.one:.1f} ms for one crop, {found.batch:.1f} ms a crop in batches of {BATCH}: model.onnx with ONNX "
        f"Runtime on {found.processor}, up to {found.threads} threads. These are medians, measured at the export "
        "beside other work. Finding faces takes extra time."
    )


def licences(trained: TrainedModel) -> str:
    """List the licences and terms that apply to the model."""
    made = trained.description
    lines = ["Code: MIT (this project)"]
    if trained.params.backbone in BACKBONES and trained.params.weights in BACKBONES[trained.params.backbone].weights:
        weights = BACKBONES[trained.params.backbone].weights[trained.params.weights]
        if weights.read is not None:
            lines.append(f"Initial weights, {weights.title}: {weights.origin.rstrip('.')}")
    if (imported := made.get("imported")) is not None:
        lines.append(f"Weights, imported: {imported.get('licence') or 'not stated; ask their authors'}")
    for role in ("source", "target"):
        data = made.get(role)
        if data is not None and data.get("provenance") == "stand-in":
            lines.append(f"Pictures of the {role}, {data['name']}: drawn by this project, MIT")
        elif data is not None:
            known = TERMS.get(data["name"], "not known to this project; ask their owners")
            lines.append(f"Pictures of the {role}, {data['name']}: {known}")
    lines.append(
        "The trained weights have no licence of their own: those of the pictures and of the initial weights apply"
    )
    return "\n".join(f"- {line}" for line in lines)
