"""The programs that benchmarks/predict_peers.py compares, with a common signature: this project and its peers.

As a program it measures one of them on one core: python -m benchmarks.predictors NAME PICTURES SECONDS

The packages of deepface and HSEmotion do not contain weights. ``write_weights`` writes random weights of the same
shapes to where both expect them, which affects predictions, but not speed.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.memory import peak
from pipeline.compute import device as devices
from pipeline.config import load as params
from pipeline.config.learning import ModelParams
from pipeline.config.schema import Params
from pipeline.networks.network import PrototypeClassifier
from pipeline.networks.trained import TrainedModel
from pipeline.prediction.inputs import sources
from pipeline.prediction.outputs import Destination
from pipeline.prediction.predict import predict
from pipeline.prediction.predictor import Predictor

Contestant = Callable[[Sequence[str]], int]
"""Predicts files, from reading to the probabilities of each face; returns the number of faces."""

MIN_FACE = 20
"""Minimum face size in pixels: facenet-pytorch's default, used for all peers with MTCNN."""

DEEPFACE_WEIGHTS = Path(".deepface/weights/facial_expression_model_weights.pth")
HSEMOTION_MODEL = "enet_b0_8_best_vgaf"
HSEMOTION_WEIGHTS = Path(f".hsemotion/{HSEMOTION_MODEL}.onnx")
"""Download folders of the two packages, below the user's home."""


def untrained(network: Mapping[str, Any], device: str, changes: Sequence[str] = ()) -> Predictor:
    """This project's predictor without weights. network: keys of ``model``; changes: of the parameters ``faces``."""
    settings: Params = params.load(Path(__file__).parents[1] / "params.yaml")
    torch.manual_seed(0)
    chosen = ModelParams(weights="none", projection_hidden=512, projection_dim=256, **network)
    model = PrototypeClassifier.untrained(chosen).eval()
    trained = TrainedModel(model, chosen, settings.augment, settings.faces, {})
    return Predictor(trained, devices.pick(device), changes)


def to_rows(predictor: Predictor, inputs: Sequence[str], drawn: bool) -> int:
    """Run ``pocan predict`` without start-up, from files to a CSV; return the number of faces."""
    with tempfile.TemporaryDirectory() as folder:
        out, drawings = Path(folder) / "rows.csv", Path(folder) / "drawn" if drawn else None
        to = Destination(out, "csv", drawings)
        return predict(sources(inputs), predictor, "untrained", to, 1, show_progress=False).faces


def project(network: Mapping[str, Any], min_face: int = MIN_FACE) -> Contestant:
    """This project, with faces from ``min_face`` pixels."""
    predictor = untrained(network, "cpu", [f"min_face={min_face}"])
    return lambda files: to_rows(predictor, files, drawn=False)


def fer(mtcnn: bool) -> Contestant:
    """The package fer: TensorFlow Lite with its own weights, and the Haar cascade or facenet-pytorch's MTCNN."""
    if mtcnn:
        import facenet_pytorch  # noqa: F401  # before TensorFlow: their copies of LLVM clash in the other order
    from fer.fer import FER

    recognizer = FER(mtcnn=mtcnn)
    return lambda files: sum(len(recognizer.detect_emotions(cv2.imread(file))) for file in files)


def deepface(detector: str) -> Contestant:
    """Deepface's analysis by PyTorch, with one of its detectors."""
    os.environ["DEEPFACE_BACKEND_ENGINE"] = "pytorch"
    from deepface import DeepFace

    def faces(file: str) -> int:
        found = DeepFace.analyze(file, ["emotion"], enforce_detection=False, detector_backend=detector, silent=True)
        return sum(face["face_confidence"] > 0 for face in found)  # 0: it saw none and took the whole picture

    return lambda files: sum(map(faces, files))


def hsemotion() -> Contestant:
    """HSEmotion by ONNX Runtime, with facenet-pytorch's MTCNN."""
    import onnxruntime
    from facenet_pytorch import MTCNN
    from hsemotion_onnx.facial_emotions import HSEmotionRecognizer

    recognizer = HSEmotionRecognizer(HSEMOTION_MODEL)
    # It has no setting for threads, and one for each of the machine's cores are in each other's way on a single one.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    weights = Path.home() / HSEMOTION_WEIGHTS
    recognizer.ort_session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    detector = MTCNN(keep_all=True, min_face_size=MIN_FACE)

    def faces(file: str) -> int:
        image = np.asarray(cv2.imread(file, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
        boxes, _ = detector.detect(image)
        if boxes is None:
            return 0
        return len(recognizer.predict_multi_emotions(_crops(image, boxes), logits=False)[0])

    return lambda files: sum(map(faces, files))


def _crops(image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """Return the parts of a picture (H×W×3) in boxes (n×4)."""
    return [image[top:bottom, left:right] for left, top, right, bottom in boxes.clip(0).astype(int)]


MODULES = {
    "fer, Haar cascade": ("fer", "tensorflow"),
    "fer, MTCNN": ("fer", "tensorflow", "facenet_pytorch"),
    "deepface, Haar cascade": ("deepface", "gdown"),
    "deepface, MTCNN": ("deepface", "gdown", "facenet_pytorch"),
    "HSEmotion, MTCNN": ("hsemotion_onnx", "facenet_pytorch"),
}
"""The peers, and the additional modules that each needs."""

CONTESTANTS: dict[str, Callable[[], Contestant]] = {
    "fer, Haar cascade": partial(fer, mtcnn=False),
    "fer, MTCNN": partial(fer, mtcnn=True),
    "deepface, Haar cascade": partial(deepface, detector="opencv"),
    "deepface, MTCNN": partial(deepface, detector="fastmtcnn"),
    "HSEmotion, MTCNN": hsemotion,
    "this project, ResNet-10": partial(project, network={"backbone": "resnet10"}),
    "this project, ResNet-10, from 32 pixels": partial(project, network={"backbone": "resnet10"}, min_face=32),
    "this project, ResNet-50": partial(project, network={"backbone": "resnet50"}),
    "this project, HSEmotion's network": partial(
        project, network={"backbone": "timm", "architecture": "tf_efficientnet_b0", "input_size": 224}
    ),
}


def write_weights(home: Path, peers: Sequence[str]) -> None:
    """Write random weights for peers that would download theirs, below their future home folder."""
    if any(peer.startswith("deepface") for peer in peers):
        from deepface.models.demography.pytorch.Emotion import base_model

        (home / DEEPFACE_WEIGHTS).parent.mkdir(parents=True)
        torch.save(base_model().state_dict(), home / DEEPFACE_WEIGHTS)
    if "HSEmotion, MTCNN" in peers:
        import timm

        (home / HSEMOTION_WEIGHTS).parent.mkdir()
        network = timm.create_model("tf_efficientnet_b0", num_classes=8).eval()
        example, batch = torch.zeros(2, 3, 224, 224), torch.export.Dim("batch", min=1, max=1024)
        torch.onnx.export(
            network,
            (example,),
            home / HSEMOTION_WEIGHTS,
            dynamo=True,
            verbose=False,
            input_names=["input"],
            dynamic_shapes=({0: batch},),
        )


def run(contestant: str, pictures: Path, seconds: float) -> None:
    """Measure one program on one core; print JSON: pictures per second, faces and peak memory in MiB.

    The time is CPU time of all threads, which does not include other work on the machine.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    files = sorted(map(str, pictures.rglob("*.png")))
    look = CONTESTANTS[contestant]()
    look(files[:2])  # and everything is warm
    faces, passes, start = 0, 0, time.process_time()
    while (elapsed := time.process_time() - start) < seconds or not passes:
        faces = look(files)
        passes += 1
    print(json.dumps({"rate": passes * len(files) / elapsed, "faces": faces, "memory": peak()}))


if __name__ == "__main__":
    typer.run(run)
