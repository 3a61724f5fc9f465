"""Batches that are made ahead, in a thread of their own."""

import threading
from collections.abc import Iterator

import pytest
import torch

from pipeline.data.batches import prefetched


@pytest.fixture
def threads() -> Iterator[int]:
    """Let PyTorch compute with more threads than the tests otherwise have."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_the_order_stays_and_an_error_reaches_whoever_asks() -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise OSError("a disk that fails")

    batches = prefetched(broken())
    assert [next(batches) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="a disk that fails"):
        next(batches)


def test_they_are_made_on_one_core_and_all_others_compute_as_before(threads: int) -> None:
    def said() -> Iterator[tuple[str, int]]:
        for _ in range(4):
            torch.arange(100_000)[torch.randperm(100_000)]  # in parallel, where that is allowed
            yield threading.current_thread().name, torch.get_num_threads()

    found = []
    for name, count in prefetched(said()):
        assert name.startswith("batches")
        found.append(count)
        assert torch.get_num_threads() == threads
    assert found == [1] * 4
    later: list[int] = []
    other = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert later == [threads]
