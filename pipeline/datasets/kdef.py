"""KDEF, the Karolinska Directed Emotional Faces (Lundqvist, Flykt and Öhman, 1998): 70 actors, seven expressions."""

import re
from collections.abc import Iterator
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.folders import pictures_below
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LABELS = {
    "AF": FEAR,
    "AN": ANGER,
    "DI": DISGUST,
    "HA": HAPPINESS,
    "NE": NEUTRAL,
    "SA": SADNESS,
    "SU": SURPRISE,
}
NAME = re.compile(r"([AB])([FM][0-9]{2})(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)", re.IGNORECASE)
"""Session; sex and number of the actor; expression; angle."""
OF_AN_ACTOR = re.compile(r"[AB][FM][0-9]{2}[A-Z]*", re.IGNORECASE)
"""A name that is cut short or misspelt after session and actor, so that its expression is unknown."""
MAX_LISTED = 20
"""Maximum number of skipped pictures that a note names."""


class Kdef(Dataset):
    """KDEF: the 980 straight ones of its 4,900 pictures (70 actors × 7 expressions × 2 sessions)."""

    name = "kdef"
    title = "KDEF"
    published: ClassVar = {"all": 980}
    layout = (
        "AF01ANS.JPG at any depth: session, sex, actor, expression (AF AN DI HA NE SA SU), angle; straight ones (S) "
        "are read"
    )

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per straight picture.

        Profiles are skipped. So are pictures whose names begin with session and actor but do not give expression and
        angle, such as AM31H.JPG in the distributed set; ``reading_notes`` names these.

        Raises:
            DatasetError: a picture's name has another form.
        """
        unknown = []
        for path in pictures_below(self.root):
            match = NAME.fullmatch(path.stem)
            if match is None:
                if OF_AN_ACTOR.fullmatch(path.stem):
                    unknown.append(self.key(path))
                    continue
                raise self.error(f"{path}: the name is not of the form AF01ANS.JPG; rename the file or move it away")
            session, actor, expression, angle = (part.upper() for part in match.groups())
            if angle == "S":
                yield Sample(self.key(path), LABELS[expression], actor, sequence=f"{actor}/{session}/{expression}")
        if unknown:
            self.add_note(
                f"all pictures but {len(unknown)}, whose names do not say expression and angle "
                f"({', '.join(unknown[:MAX_LISTED])}{', …' if len(unknown) > MAX_LISTED else ''}); to have them read, "
                "rename them"
            )
