import numpy as np
import pandas as pd
import pytest

from somaray.agreement import TOLERANCE, compare, empty_hvg, largest_difference


def table(**changes) -> pd.DataFrame:
    columns = {
        "means": [0.1, 0.2, 0.3, 0.4],
        "dispersions": [1.0, np.nan, 30.0, -2.0],
        "dispersions_norm": [0.5, np.nan, 4.0, -1.0],
        "highly_variable": [False, False, True, True],
    }
    return pd.DataFrame({**columns, **changes}, index=pd.Index(["a", "b", "c", "d"], name="var_id"))


def test_equal_tables_agree() -> None:
    check = compare("capture", table(), table())
    assert (check.agrees, check.note, check.largest_difference) == (True, "", 0.0)
    assert (check.genes_selected, check.genes_reference, check.genes_in_common) == (2, 2, 2)


def test_difference_is_relative_above_one_and_absolute_below() -> None:
    assert largest_difference(table(dispersions=[1.0, np.nan, 33.0, -2.0]), table()) == pytest.approx(0.1)
    assert largest_difference(table(dispersions=[0.9, np.nan, 30.0, -2.0]), table()) == pytest.approx(0.1)


@pytest.mark.parametrize(("difference", "agrees"), [(5e-5, True), (5e-4, False)])
def test_normalised_dispersions_are_held_less_tightly(difference, agrees) -> None:
    check = compare("capture", table(dispersions_norm=[0.5 + difference, np.nan, 4.0, -1.0]), table())
    assert check.agrees is agrees
    assert check.largest_difference == 0.0


@pytest.mark.parametrize(("difference", "agrees"), [(2e-3, True), (2e-2, False)])
def test_fitted_variances_are_held_less_tightly_than_variances(difference, agrees) -> None:
    expected = table(variances=[1.0, 2.0, 3.0, 4.0], variances_norm=[0.5, 1.0, 4.0, 0.2])
    fitted = expected.assign(variances_norm=expected["variances_norm"] + [difference, 0, 0, 0])
    check = compare("capture", fitted, expected)
    assert (check.agrees, check.largest_difference) == (agrees, pytest.approx(difference))
    assert compare("capture", expected.assign(variances=expected["variances"] + 1e-5), expected).agrees is False


@pytest.mark.parametrize("by", [0.5, 2.0])
def test_tolerance_decides(by) -> None:
    check = compare("capture", table(dispersions=[1.0 + by * TOLERANCE, np.nan, 30.0, -2.0]), table())
    assert check.agrees is (by < 1)
    assert check.largest_difference == pytest.approx(by * TOLERANCE)


def test_nan_on_one_side_differs() -> None:
    check = compare("capture", table(dispersions=[1.0, 0.0, 30.0, -2.0]), table())
    assert check.agrees is False
    assert check.largest_difference is None


def test_missing_scores_differ() -> None:
    assert compare("capture", table().drop(columns="dispersions"), table()).agrees is False


def test_other_genes_selected_is_told_by_number() -> None:
    check = compare("timing-1", table(highly_variable=[True, False, True, False]), table())
    assert check.agrees is False
    assert check.note == "1 genes missing, 1 too many"
    assert (check.genes_selected, check.genes_reference, check.genes_in_common) == (2, 2, 1)


def test_order_of_genes_is_no_difference_but_other_genes_are() -> None:
    assert compare("capture", table().iloc[::-1], table()).agrees is True
    renamed = table().rename(index={"a": "z"})
    assert compare("capture", renamed, table()).agrees is False
    assert compare("capture", empty_hvg(), table()).agrees is False


def test_order_of_ties_does_not_matter_but_infinite_scores_must_be_equal() -> None:
    infinite = table(dispersions=[np.inf, np.nan, 30.0, -2.0])
    assert compare("capture", infinite, infinite).agrees is True
    assert compare("capture", infinite, table()).agrees is False
