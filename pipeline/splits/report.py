"""data/splits/SET.json: how a set was divided, and what its parts share with each other and with other sets."""

from typing import Annotated

from pydantic import Field

from pipeline.files.records import Record

Count = Annotated[int, Field(ge=0)]


class Protocol(Record):
    """How a set was divided and what was known of it.

    Attributes:
        protocol: the rule, as in section split of the parameters.
        test: the test part's size, as a share or as a number of pictures; None where the rule needs none.
        seed: of the draw.
        duplicates: what became of training pictures that are, or nearly are, a test picture.
        classes: the set's label set, where it was given.
    """

    protocol: str
    test: int | float | None
    seed: int
    duplicates: str
    classes: tuple[str, ...] | None = None


class SharedPictures(Record):
    """How many test pictures have themselves, their sequence or their subject in the training part; None: unknown."""

    picture: Count
    sequence: Count | None
    subject: Count | None


class DuplicateCounts(Record):
    """Exact and near duplicates: pairs of pictures, and how many pictures of the set these are."""

    exact: Count
    near: Count
    pictures: Count


class DuplicateReport(Record):
    """Duplicates within a set and with others.

    Attributes:
        within: pairs within the set.
        train_like_test: training pictures that are, or nearly are, a test picture.
        with_: pairs with each other set, by its name; ``with`` in the file.
    """

    within: DuplicateCounts
    train_like_test: Count
    with_: Annotated[dict[str, DuplicateCounts], Field(alias="with")]


class SplitReport(Record):
    """What the split stage says of one set.

    Attributes:
        dataset: the set's name.
        protocol: how it was divided.
        test_in_train: what the parts share.
        duplicates: counted before any was dropped.
        dropped: training pictures that were left out as duplicates; not in the file where none was to be.
        train: pictures of the training part.
        test: pictures of the test part.
    """

    dataset: str
    protocol: Protocol
    test_in_train: SharedPictures
    duplicates: DuplicateReport
    dropped: Count | None = None
    train: Count
    test: Count
