"""Published figures: the paper's own first, each with its source, and none where there is nothing to compare with."""

from __future__ import annotations

import pytest

from stmae.report.papers import published


@pytest.mark.parametrize(("dataset", "auc"), [("ped2", 0.981), ("avenue", 0.898), ("shanghaitech", 0.738)])
def test_what_the_paper_states_comes_first(dataset: str, auc: float) -> None:
    first, *others = published(dataset)
    assert (first.method, first.auc) == ("STM-AE", pytest.approx(auc))
    assert len(others) >= 8


@pytest.mark.parametrize(
    ("author", "aucs"),
    [
        ("Kim", (0.693, None, None)),
        ("Lu", (None, 0.809, None)),
        ("Xu", (0.908, None, None)),
        ("Tudor", (0.822, 0.806, None)),
        ("Zhang", (0.954, 0.868, 0.736)),
        ("Ye", (0.968, 0.862, 0.736)),
        ("Chang", (0.965, 0.860, 0.733)),
        ("Doshi", (0.978, 0.864, 0.716)),
        ("Yu", (0.973, 0.896, 0.746)),
    ],
)
def test_the_rows_of_the_papers_table_are_there(author: str, aucs: tuple[float | None, ...]) -> None:
    for dataset, auc in zip(("ped2", "avenue", "shanghaitech"), aucs, strict=True):
        quoted = [figure.auc for figure in published(dataset) if f"{author} " in figure.method]
        assert quoted == ([] if auc is None else [auc])


@pytest.mark.parametrize("dataset", ["ped2", "avenue", "shanghaitech"])
def test_each_figure_is_a_rate_with_a_source_and_each_method_comes_once(dataset: str) -> None:
    figures = published(dataset)
    assert all(0.5 < figure.auc < 1 for figure in figures)
    assert all("arXiv" in figure.source or "doi.org" in figure.source for figure in figures)
    assert len({figure.method for figure in figures}) == len(figures)


@pytest.mark.parametrize("reader", ["walkway", "folder"])
def test_other_footage_has_nothing_to_compare_with(reader: str) -> None:
    assert published(reader) == []
