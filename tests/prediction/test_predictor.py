"""Every face, cropped and classified as in training."""

import numpy as np
import pytest
import torch

from pipeline.data import augment
from pipeline.errors import ParamsError
from pipeline.faces.crop import crop_box
from pipeline.labels import EXPRESSIONS
from pipeline.networks.trained import TrainedModel
from pipeline.prediction.predictor import Predictor
from tests.faces.scenes import noise, photograph, two_faces
from tests.models import ADAPTED, small
from tests.stores import FACES
from tests.tasks import CPU, MODEL, VIEWS

TRAINED = TrainedModel(small(), MODEL, VIEWS, FACES, {**ADAPTED, "weights_sha256": "ab" * 32})


def test_every_face_of_a_picture_is_found_although_training_took_the_largest() -> None:
    found = Predictor(TRAINED, CPU).predict([two_faces(), noise(64, 64), photograph()])
    assert [len(faces) for faces in found] == [2, 0, 1]
    widths = sorted(face.face.box[2] - face.face.box[0] for face in found[0])
    assert widths == pytest.approx([44, 88], abs=8)
    assert all(face.face.score is not None and face.face.score > 0.8 for face in found[0])


def test_a_face_is_seen_as_in_training() -> None:
    """The crop of the box with the model's margin, its evaluation view, the network."""
    (found,) = Predictor(TRAINED, CPU, ["margin=0.1"]).predict([photograph()])[0]
    pixels = torch.from_numpy(crop_box(photograph(), found.face.box, 0.1)).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = TRAINED.model(augment.evaluation_view(augment.to_float(pixels), VIEWS.eval_crop))[0].numpy()
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    assert found.expression == EXPRESSIONS[int(expected.argmax())]
    assert found.confidence == pytest.approx(float(expected.max()), abs=1e-5)


def test_pictures_are_predicted_alike_alone_and_together() -> None:
    predictor = Predictor(TRAINED, CPU)
    together = predictor.predict([two_faces(), photograph(), two_faces()])
    alone = predictor.predict([photograph()])[0]
    assert together[1][0].face == alone[0].face
    np.testing.assert_allclose(together[1][0].probabilities, alone[0].probabilities, atol=1e-5)


def test_changes_are_checked() -> None:
    with pytest.raises(ParamsError, match=r"faces\.min_fase: unknown key \(did you mean 'min_face'\?\)"):
        Predictor(TRAINED, CPU, ["min_fase=20"])
    assert Predictor(TRAINED, CPU, ["min_face=60"]).faces.min_face == 60
