"""What is said of a device, and which GPUs there are."""

import pytest
import torch

from pipeline.compute import device


def test_a_cpus_results_depend_on_its_threads() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = device.describe(torch.device("cpu"))
        torch.set_num_threads(2)
        two = device.describe(torch.device("cpu"))
    finally:
        torch.set_num_threads(threads)
    assert {key for key in one if one[key] != two[key]} == {"threads"}
    assert (one["threads"], two["threads"]) == ("1", "2")


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [(None, 2, ["0", "1"]), ("3,GPU-ab", 2, ["3", "GPU-ab"]), ("", 0, []), ("-1", 0, [])],
)
def test_gpus_have_the_names_that_a_process_may_be_given(
    named: str | None, count: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert device.visible_gpus() == expected
