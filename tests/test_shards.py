"""Parts of a piece of work: their meaning, and what is refused before they are joined."""

from pathlib import Path

import pytest

from pipeline.errors import DamagedFileError, DatasetError, ParamsError
from pipeline.shards import Shard, listing_digest, read_shards, write_shard


@pytest.mark.parametrize(
    "text", ["3/2", "0/0", "0/2", "x", "", "1", "1/", "/2", "-1/2", "1/2/3", "1.0/2", "1 /2", "²/2"]
)
def test_what_is_no_part_is_one_line(text: str) -> None:
    with pytest.raises(ParamsError, match="not a shard; write 1/8 to 8/8 for eight shards") as told:
        Shard.parse(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("total", [0, 1, 5, 8, 1001])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_parts_in_order_are_the_whole_and_of_like_size(total: int, count: int) -> None:
    parts = [list(range(total))[Shard.parse(f"{number}/{count}").part(total)] for number in range(1, count + 1)]
    assert [unit for part in parts for unit in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def part(folder: Path, number: int, count: int = 3, listing: str = "a", **made_from: object) -> Path:
    folder.mkdir()
    (folder / "rows").write_text(f"{number}\n")
    write_shard(folder, "predictions", Shard(number, count), listing, {"--every": 1, **made_from}, {})
    return folder


def test_parts_come_in_their_own_order(tmp_path: Path) -> None:
    folders = [part(tmp_path / name, number) for name, number in (("c", 3), ("a", 2), ("b", 1))]
    assert [one.folder.name for one in read_shards(folders)] == ["b", "a", "c"]


def test_what_is_missing_or_twice_is_named(tmp_path: Path) -> None:
    first, third = part(tmp_path / "a", 1), part(tmp_path / "b", 3)
    with pytest.raises(DatasetError, match="shards are missing: 2/3; compute them, or name"):
        read_shards([first, third])
    with pytest.raises(DatasetError, match=r"shard 3/3 is in both .*b and .*c: name one"):
        read_shards([first, third, part(tmp_path / "c", 3)])
    with pytest.raises(DatasetError, match=r"nowhere: not a finished shard: there is no shard\.json in it"):
        read_shards([first, tmp_path / "nowhere"])
    with pytest.raises(DatasetError, match=r"2/40, 3/40, 4/40.* and 29 more; compute them, or name"):
        read_shards([part(tmp_path / "d", 1, 40)])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"count": 4}, "number of shards: 3 and 4"),
        ({"listing": "b"}, "digest of the inputs' names: 'a' and 'b'"),
        ({"--every": 5}, "--every: 1 and 5"),
        ({"torch": "2"}, "torch: None and '2'"),
    ],
)
def test_shards_of_different_runs_are_refused(other: dict[str, object], told: str, tmp_path: Path) -> None:
    folders = [part(tmp_path / "a", 1), part(tmp_path / "b", 2, **other)]  # type: ignore[arg-type]
    with pytest.raises(
        DatasetError, match=f"a and .*b are shards of different runs: {told}; compute one of them again"
    ):
        read_shards(folders)


def test_a_part_that_was_damaged_on_its_way_is_named(tmp_path: Path) -> None:
    folders = [part(tmp_path / str(number), number) for number in (1, 2, 3)]
    (folders[1] / "rows").write_text("")
    with pytest.raises(DamagedFileError, match=r"2/rows: changed since it was written"):
        read_shards(folders)


def test_a_digest_tells_names_and_their_order() -> None:
    digests = {listing_digest(names) for names in (["a", "b"], ["b", "a"], ["ab"], ["a"], [], ["a\udce9", "b"])}
    assert len(digests) == 6
