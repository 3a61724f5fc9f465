"""How much a method's own terms act, against gradients worked out by hand and on the toy problem."""

import math
from typing import Any

import pytest
import torch

from pipeline.methods.parts.own_share import own_share
from pipeline.methods.parts.two_domains import TwoDomains
from tests.methods.toy import method


def test_the_share_is_that_of_the_gradients_lengths() -> None:
    source, target = (torch.tensor(values, requires_grad=True) for values in ([[3.0, 0.0]], [[0.0, 2.0]]))
    terms = {"source": 4.0 * source.sum(), "domain": 0.5 * source.square().sum(), "other": target.square().sum() / 2}
    # Of the source's cross entropy (4, 4); of its own (3, 0) and (0, 2).
    assert own_share(terms, [source, target]) == pytest.approx(math.sqrt(13) / math.sqrt(32))
    torch.stack(list(terms.values())).sum().backward()  # the graph is still there
    assert source.grad is not None


def test_what_has_no_cross_entropy_or_nothing_beside_it_has_no_share() -> None:
    z = torch.ones(1, 2, requires_grad=True)
    assert own_share({"entropy": z.sum()}, [z]) is None
    assert own_share({"source": z.sum()}, [z]) is None
    assert own_share({"source": 0.0 * z.sum(), "own": z.sum()}, [z]) is None
    assert own_share({"source": z.sum(), "own": torch.zeros(())}, [z]) == 0.0


@pytest.mark.parametrize(("name", "off"), [("dan", {"weight": 0.0}), ("mcd", None), ("shot", None)])
def test_an_epoch_logs_it_once_and_the_training_is_the_same(name: str, off: dict[str, float] | None) -> None:
    def shares(**changes: Any) -> list[float | None]:
        task = method(name, steps_per_epoch=2, batch_size=14, **changes)
        assert isinstance(task, TwoDomains)
        found = []
        for epoch in range(2):
            plan = task.begin_epoch(epoch)
            for batch in plan.batches:
                assert "own_share" not in plan.metrics
                task.step(batch, 0.5)
            found.append(plan.metrics.get("own_share"))
        return found

    if name == "shot":  # source-free: nothing to compare with
        assert shares() == [None, None]
        return
    assert all(share is not None and share > 0 for share in shares())
    if off is not None:
        assert shares(**off) == [0.0, 0.0]
