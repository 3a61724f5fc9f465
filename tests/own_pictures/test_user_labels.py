"""Labels that a user gives: CSV files and class folders, and what is wrong with them in one line."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.datasets.folder import UnlabelledFolder
from pipeline.errors import DatasetError
from pipeline.own_pictures.user_labels import digest, read_labels, single_labels


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UnlabelledFolder:
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(("a.png", "sub/b.png", "sub/c, d.png")):
        path = Path("album", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (index, 0, 0)).save(path)
    return UnlabelledFolder(Path("album"))


def read(album: UnlabelledFolder, text: str) -> list[tuple[str, int]]:
    Path("few.csv").write_text(text)
    return [(one.key, one.label) for one in read_labels(Path("few.csv"), album)]


def test_a_csv_names_pictures_below_the_folder_or_by_their_path(album: UnlabelledFolder) -> None:
    text = "order,picture,expression\n1,a.png,Happy\n2,album/sub/b.png,sadness\n3,./album/sub/b.png,sad\n"
    assert read(album, text) == [("a.png", 3), ("sub/b.png", 4)]
    assert read(album, 'picture,expression\n"sub/c, d.png",fear\na.png,\nsub/b.png,neutral\n') == [
        ("sub/c, d.png", 2),
        ("sub/b.png", 6),
    ]
    for text in (
        "picture;expression\r\na.png;anger\r\nsub/b.png;disgust\r\n",
        " Picture\tEXPRESSION\na.png\tanger\nsub/b.png\tdisgust",
    ):
        assert read(album, text) == [("a.png", 0), ("sub/b.png", 1)]


def test_a_csv_may_call_columns_and_pictures_as_predictions_do(album: UnlabelledFolder) -> None:
    assert read(album, "\ufeffImage,Emotion\nb.png,SAD\nelsewhere\\album\\a.png, fear\n") == [
        ("sub/b.png", 4),
        ("a.png", 2),
    ]
    Path("album/other").mkdir()
    Image.new("RGB", (4, 4), (9, 0, 0)).save("album/other/b.png")
    with pytest.raises(DatasetError, match=r"line 2: several pictures are called 'b.png'; give their folders, too"):
        read(UnlabelledFolder(Path("album")), "picture,expression\nb.png,sad\na.png,fear\n")


def test_a_path_of_another_folder_is_no_picture_of_the_album(
    album: UnlabelledFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("/x/other/a.png", "other/a.png", "/a.png", "album/other/sub/b.png"):
        with pytest.raises(
            DatasetError, match=f"few.csv, line 2: {name}: no such picture in album; give its path below"
        ):
            read(album, f"picture,expression\n{name},happy\nsub/b.png,sad\n")
    expected = [("a.png", 3), ("sub/b.png", 4)]
    text = f"picture,expression\n{Path('album/a.png').absolute()},happy\nalbum/sub/b.png,sad\n"
    assert read(album, text) == expected
    Path("link").symlink_to("album")
    assert read(UnlabelledFolder(Path("link")), text.replace("album/sub", "link/sub")) == expected
    monkeypatch.chdir("album")
    assert read(UnlabelledFolder(Path()), text) == expected


def test_folders_of_classes_beside_the_album_or_within_it(album: UnlabelledFolder) -> None:
    for name, of_class in (("a.png", "happy"), ("sub/b.png", "sad")):
        Path("few", of_class).mkdir(parents=True)
        shutil.copy(Path("album", name), Path("few", of_class, "other-name.png"))
    assert [(one.key, one.label) for one in read_labels(Path("few"), album)] == [("a.png", 3), ("sub/b.png", 4)]
    for name, of_class in (("a.png", "happy"), ("sub/b.png", "sad")):
        Path("album", of_class).mkdir()
        Path("album", name).rename(Path("album", of_class, "x.png"))
    assert [(one.key, one.label) for one in read_labels(Path("album"), album)] == [("happy/x.png", 3), ("sad/x.png", 4)]
    Image.new("RGB", (4, 4), (99, 0, 0)).save("few/sad/foreign.png")
    with pytest.raises(DatasetError, match=r"few/happy/other-name.png: none of the pictures|few/sad/foreign.png"):
        read_labels(Path("few"), UnlabelledFolder(Path("album/happy")))
    Path("few/hapy").mkdir()
    shutil.copy("few/sad/foreign.png", "few/hapy/a.png")
    with pytest.raises(DatasetError, match=r"few/hapy: 'hapy' is not an expression"):
        read_labels(Path("few"), album)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,expression\na.png,happy\nb.png,hapy\n", "few.csv, line 3: 'hapy' is none of anger, disgust"),
        ("picture,expression\nz.png,happy\n", "few.csv, line 2: z.png: no such picture in album"),
        (
            "picture,expression\na.png,sad\nsub/b.png,sad\na.png,fear\n",
            "few.csv, line 4: a.png is fear here and sadness in few.csv, line 2; keep one",
        ),
        ("picture,expression\na.png,sad\nsub/b.png,sad\n", "all labels are sadness (from few.csv, line 2 on)"),
        ("picture,expression\na.png,\n", "few.csv: no label"),
        ("", "few.csv: the file is empty; begin it with picture,expression"),
        ("expression\nsad\n", "few.csv, line 1: no column 'picture'"),
        ("picture,expression,Expression\na.png,sad,fear\n", "few.csv, line 1: two columns 'expression'; remove one"),
        ("picture,score\na.png,sad\n", "few.csv, line 1: no column 'expression'; found"),
        ("picture,predicted\na.png,sad\n", "few.csv, line 1: no column 'expression'; found"),
        ("source,expression\na.png,sad\n", "few.csv, line 1: no column 'picture'"),
        ('picture,expression\n"a.png,sad\n', "few.csv, line 2: not a row of a table"),
    ],
)
def test_bad_labels_are_one_line_that_names_the_row(album: UnlabelledFolder, text: str, message: str) -> None:
    with pytest.raises(DatasetError) as found:
        read(album, text)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_a_file_that_is_not_there_and_one_that_is_no_text(album: UnlabelledFolder) -> None:
    with pytest.raises(DatasetError, match=r"nowhere.csv: no such file or folder"):
        read_labels(Path("nowhere.csv"), album)
    Path("few.csv").write_bytes(b"picture,expression\n\xff\xfe,sad\n")
    with pytest.raises(DatasetError, match=r"few.csv, line 2: not a text in UTF-8"):
        read_labels(Path("few.csv"), album)


def test_the_only_label_of_a_class_is_told(album: UnlabelledFolder) -> None:
    Path("few.csv").write_text('picture,expression\na.png,sad\nsub/b.png,fear\n"sub/c, d.png",fear\n')
    given = read_labels(Path("few.csv"), album)
    assert single_labels(given) == [
        "few.csv, line 2: the only label of sadness; testing a fit of this class needs at least 2"
    ]
    assert digest(given) == digest(given[::-1]) != digest(given[:2])
