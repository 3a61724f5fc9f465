"""data/splits/SET.json: how a set was divided, and what its parts share with each other and with other sets."""

from typing import Annotated

from pydantic import Field

from pipeline.files.records import Record

Count = Annotated[int, Field(ge=0)]


class Protocol(Record):
    """How a set was divided, and what was known about it.

    Attributes:
        protocol: the rule, as in section split of the parameters.
        test: size of the test part, as a share or as a number of pictures; None if the rule needs none.
        seed: seed of the random division.
        duplicates: what was done with training pictures that are exact or near duplicates of a test picture.
        classes: the set's classes, if they were given.
    """

    protocol: str
    test: int | float | None
    seed: int
    duplicates: str
    classes: tuple[str, ...] | None = None


class SharedPictures(Record):
    """Number of test pictures that share something with the training part; None: unknown.

    Attributes:
        picture: test pictures that are in the training part themselves.
        sequence: test pictures with another frame of their sequence in the training part.
        subject: test pictures with another picture of their subject in the training part.
    """

    picture: Count
    sequence: Count | None
    subject: Count | None


class DuplicateCounts(Record):
    """Exact and near duplicates: numbers of pairs, and number of the set's pictures in these pairs."""

    exact: Count
    near: Count
    pictures: Count


class DuplicateReport(Record):
    """Duplicates within a set and with other sets.

    Attributes:
        within: pairs within the set.
        train_like_test: training pictures that are exact or near duplicates of a test picture.
        with_: pairs with each other set, by its name; ``with`` in the file.
    """

    within: DuplicateCounts
    train_like_test: Count
    with_: Annotated[dict[str, DuplicateCounts], Field(alias="with")]


class SplitReport(Record):
    """The split stage's report on one set.

    Attributes:
        dataset: the set's name.
        protocol: how it was divided.
        test_in_train: what the parts share.
        duplicates: the duplicates, counted before any was removed.
        dropped: training pictures that were removed as duplicates; not in the file if none were to be removed.
        train: number of pictures in the training part.
        test: number of pictures in the test part.
    """

    dataset: str
    protocol: Protocol
    test_in_train: SharedPictures
    duplicates: DuplicateReport
    dropped: Count | None = None
    train: Count
    test: Count
