"""Text files of sets: every reader opens them in one way."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError, UnreadableImageError
from tests.datasets.drawing import save

ROW = "{},{},Training".format(0, " ".join(["7"] * 48 * 48))
VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def affectnet(root: Path) -> Path:
    for name in "abc":
        save(root / f"Manually_Annotated_Images/1/{name}.jpg", "RGB")
    table = root / "training.csv"
    table.write_text("subDirectory_filePath,expression\n1/a.jpg,1\n1/b.jpg,2\n1/c.jpg,3\n")
    return table


def afe(root: Path) -> Path:
    save(root / "images/a.jpg", "RGB")
    listed = root / "list/train_list.txt"
    listed.parent.mkdir()
    listed.write_text("a.jpg 0 0 5 5 1\na.jpg 1 1 6 6 3\na.jpg 1 1 6 6 0\n")
    return listed


def expw(root: Path) -> Path:
    save(root / "image/origin/a.jpg", "RGB")
    (root / "label.lst").write_text("a.jpg 0 0 0 5 5 9 1\na.jpg 1 0 0 5 5 9 3\na.jpg 2 0 0 5 5 9 3\n")
    return root / "label.lst"


def rafdb(root: Path) -> Path:
    for number in (1, 2, 3):
        save(root / f"Image/aligned/train_0000{number}_aligned.jpg", "RGB")
    (root / "EmoLabel").mkdir()
    listed = root / "EmoLabel/list_patition_label.txt"
    listed.write_text("train_00001.jpg 5\ntrain_00002.jpg 4\ntrain_00003.jpg 4\n")
    return listed


def rafdb_table(root: Path) -> Path:
    for number in (1, 2, 3):
        save(root / f"train/{number}.jpg", "RGB")
    (root / "train_labels.csv").write_text("image,label\n1.jpg,5\n2.jpg,4\n3.jpg,4\n")
    return root / "train_labels.csv"


def fer2013(root: Path) -> Path:
    (root / "fer2013.csv").write_text("emotion,pixels,Usage\n" + f"{ROW}\n" * 3)
    return root / "fer2013.csv"


def ckplus_table(root: Path) -> Path:
    return fer2013(root).rename(root / "ckextended.csv")


def ferplus(root: Path) -> Path:
    fer2013(root)
    votes = root / "fer2013new.csv"
    votes.write_text(f"{VOTES}\n" + "".join(f"Training,{name}.png,10{',0' * 9}\n" for name in "abc"))
    return votes


SETS: dict[str, Callable[[Path], Path]] = {
    "affectnet": affectnet,
    "afe": afe,
    "expw": expw,
    "rafdb": rafdb,
    "rafdb ": rafdb_table,
    "fer2013": fer2013,
    "ckplus": ckplus_table,
    "ferplus": ferplus,
}
"""By the reader's name: how its set is made, with three pictures; returns the text file that lists these."""

every_list = pytest.mark.parametrize("name", SETS)


def labels(name: str, root: Path) -> list[int | None]:
    return [sample.label for sample in open_dataset(name.strip(), root).samples()]


def changed(path: Path, number: int, text: bytes) -> None:
    """Put ``text`` at the beginning of a line, counted from 1."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = text + lines[number - 1]
    path.write_bytes(b"".join(lines))


@every_list
def test_byte_order_marks_and_line_ends_of_other_systems_change_nothing(name: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    expected = labels(name, tmp_path)
    assert len(expected) == 3
    listed.write_bytes(b"\xef\xbb\xbf" + listed.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert labels(name, tmp_path) == expected


@pytest.mark.parametrize("name", ["afe", "expw"])
def test_whole_numbers_may_be_written_as_floats(name: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    dataset = open_dataset(name, tmp_path)
    expected = [(sample.label, dataset.read(sample).shape) for sample in dataset.samples()]
    lines = [line.split() for line in listed.read_text().splitlines()]
    floats = [" ".join([line[0], *(f"{value}.0" for value in line[1:])]) for line in lines]
    listed.write_text("\n".join(floats))
    dataset = open_dataset(name, tmp_path)
    assert [(sample.label, dataset.read(sample).shape) for sample in dataset.samples()] == expected


TABLES = ("affectnet", "rafdb ", "fer2013", "ckplus", "ferplus")
"""Those with a header."""


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("name", TABLES)
def test_columns_may_be_separated_as_spreadsheets_write_them(name: str, delimiter: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    expected = labels(name, tmp_path)
    marks = "\ufeff\ufeff"  # as of files that were put together
    listed.write_text(marks + listed.read_text().replace(",", delimiter), encoding="utf-8")
    assert labels(name, tmp_path) == expected
    dataset = open_dataset(name.strip(), tmp_path)
    assert all(dataset.read(sample).size for sample in dataset.samples())


@every_list
def test_a_line_that_names_the_separator_to_a_spreadsheet_counts_as_blank(name: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    expected = labels(name, tmp_path)
    text = listed.read_text()
    for said, delimiter in (("sep=;", ";"), ('"sep=,"', ","), ("SEP=\t", "\t"), ("\ufeffsep=;;;", ";")):
        listed.write_text(f"{said}\r\n\n{text.replace(',', delimiter)}", encoding="utf-8")
        assert labels(name, tmp_path) == expected
        dataset = open_dataset(name.strip(), tmp_path)
        assert all(dataset.read(sample).size for sample in dataset.samples())
    if name in TABLES:  # where a fault is, is still counted from the file's first line
        changed(listed, 4, b"\xff")
        with pytest.raises(DatasetError, match=rf"^{listed}, line 4: not a text in UTF-8"):
            labels(name, tmp_path)


@every_list
def test_lines_that_end_with_cr_alone_are_read_or_told(name: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    expected = labels(name, tmp_path)
    listed.write_bytes(listed.read_bytes().replace(b"\n", b"\r"))
    if name in ("fer2013", "ckplus"):  # whose rows are read from their places in the file
        with pytest.raises(DatasetError, match=rf"^{listed}, line 1: the lines end with only CR; save the file with"):
            labels(name, tmp_path)
    else:
        assert labels(name, tmp_path) == expected


@pytest.mark.parametrize(("name", "column"), [("affectnet", "expression"), ("rafdb ", "label"), ("ferplus", "NF")])
def test_a_column_that_is_there_twice_is_told(name: str, column: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    head, *rows = listed.read_text().splitlines()
    listed.write_text("\n".join([f"{head},{column}", *(f"{row},7" for row in rows)]))
    with pytest.raises(DatasetError, match=rf"^{listed}, line 1: (?i:two columns '{column}'); remove"):
        labels(name, tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
@every_list
def test_another_encoding_is_told_by_file_and_line(name: str, encoding: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    listed.write_bytes(listed.read_text().encode(encoding))
    with pytest.raises(DatasetError, match=rf"^{listed}, line 1: not a text in UTF-8 \(.*UTF-16.*\); save the file as"):
        labels(name, tmp_path)


@pytest.mark.parametrize(("damage", "why"), [(b"\xe9", "byte 0xe9"), (b"\0", "zero bytes")])
@every_list
def test_bytes_that_are_no_text_are_told_by_file_and_line(name: str, damage: bytes, why: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    changed(listed, 3, damage)
    with pytest.raises(
        DatasetError, match=rf"^{listed}, line 3: not a text in UTF-8 \({why}.*; save the file as UTF-8"
    ):
        labels(name, tmp_path)


@pytest.mark.parametrize("name", ["affectnet", "rafdb ", "ferplus"])
@pytest.mark.parametrize(
    ("text", "reason"), [(b'"', "unexpected end of data"), (b"x" * 160_000, r"field larger than field limit")]
)
def test_a_row_that_is_none_is_told_by_file_and_line(name: str, text: bytes, reason: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    changed(listed, 3, text)
    with pytest.raises(DatasetError, match=rf"^{listed}, line 3: not a row of a table \({reason}.*; correct the line"):
        labels(name, tmp_path)


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("name", ["affectnet", "rafdb ", "ferplus"])
def test_blank_rows_and_line_breaks_within_quotes_are_read(name: str, delimiter: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    expected = labels(name, tmp_path)
    head, *rows = (line.replace(",", delimiter) for line in listed.read_text().splitlines())
    blank = delimiter * head.count(delimiter)
    rows = [f'{row}{delimiter}"a note\nof two lines"' for row in rows]
    listed.write_text("\n".join([f"{head}{delimiter}note", rows[0], blank, *rows[1:], blank, ""]))
    assert labels(name, tmp_path) == expected
    with listed.open("a") as file:
        file.write('"')
    with pytest.raises(DatasetError, match=rf"^{listed}, line 10: not a row of a table"):
        labels(name, tmp_path)


@every_list
def test_a_list_is_known_by_its_name_in_any_case(name: str, tmp_path: Path) -> None:
    listed = SETS[name](tmp_path)
    expected = labels(name, tmp_path)
    listed.rename(listed.with_name(listed.name.upper()))
    assert labels(name, tmp_path) == expected


def test_whole_numbers_are_codes_however_they_are_written(tmp_path: Path) -> None:
    table = affectnet(tmp_path)
    table.write_text("subDirectory_filePath,expression\n1/a.jpg,1.0\n1/b.jpg, 2\n1/c.jpg,3e0\n")
    assert labels("affectnet", tmp_path) == [3, 4, 5]
    for wrong in ("inf", "1_0", "0x3", ""):
        table.write_text(f"subDirectory_filePath,expression\n1/a.jpg,{wrong}\n")
        with pytest.raises(DatasetError, match=rf"line 2: expression '{wrong}' is not one of 0–10"):
            labels("affectnet", tmp_path)


@pytest.mark.parametrize("name", ["../../b.jpg", "/b.jpg", "1/../../../b.jpg"])
def test_a_list_names_no_picture_outside_of_its_set(name: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    table = affectnet(tmp_path / "set")
    save(tmp_path / "b.jpg", "RGB")
    table.write_text(f"subDirectory_filePath,expression\n{name},1\n")
    with pytest.raises(
        DatasetError, match=rf"{name}: the set's list names it, but it is not in {tmp_path}/set; correct"
    ):
        labels("affectnet", tmp_path / "set")


def test_a_table_without_its_columns_or_with_short_rows_is_told(tmp_path: Path) -> None:
    table = affectnet(tmp_path)
    table.write_text("path,expression\n1/a.jpg,1\n")
    with pytest.raises(DatasetError, match=r"line 1: no column 'subDirectory_filePath', found 'path, expression'"):
        labels("affectnet", tmp_path)
    table.write_text("subDirectory_filePath,expression\n1/a.jpg\n")
    with pytest.raises(DatasetError, match="line 2: 1 columns instead of 2"):
        labels("affectnet", tmp_path)


def test_a_file_of_meanings_may_begin_with_a_mark(tmp_path: Path) -> None:
    save(tmp_path / "0/a.jpg")
    (tmp_path / "classes.json").write_text('\ufeff{"0": "happy"}', encoding="utf-8")
    assert labels("mine", tmp_path) == [3]
    (tmp_path / "classes.json").write_bytes('{"0": "é"}'.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"classes\.json, line 1: not a text in UTF-8 \(byte 0xe9\)"):
        labels("mine", tmp_path)


def test_a_list_that_the_system_does_not_give_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, opening = expw(tmp_path), Path.open

    def refusing(self: Path, *arguments: object, **options: object) -> object:
        if self == listed:
            raise OSError(5, "Input/output error", str(self))
        return opening(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(DatasetError, match=rf"^{listed}: cannot be read \(Input/output error\)"):
        labels("expw", tmp_path)


def test_a_picture_whose_name_is_too_long_is_unreadable(tmp_path: Path) -> None:
    listed = expw(tmp_path)
    listed.write_text("x" * 300 + ".jpg 0 0 0 5 5 9 1\n")
    dataset = open_dataset("expw", tmp_path)
    with pytest.raises(UnreadableImageError, match="File name too long"):
        dataset.read(dataset.samples()[0])
