"""What sizes a synthetic matrix can have; apart from the model, so that checking them imports nothing."""

from somaray.errors import SomarayError

LARGEST_MEAN_SHARE = 0.25
"""Most non-zeros a cell on average, in units of all genes."""

MOST_GENES = (1 << 24) - 1
LEAST_GENES = 4


def check_size(n_obs: int, n_vars: int, nnz_per_obs: float) -> None:
    """Refuse sizes that no matrix can have.

    Raises
    ------
    SomarayError
        Naming the key, its value and what is expected.
    """
    if n_obs < 1:
        raise SomarayError(f"n_obs {n_obs}: expected at least one cell")
    if not LEAST_GENES <= n_vars <= MOST_GENES:
        raise SomarayError(f"n_vars {n_vars}: expected {LEAST_GENES} to {MOST_GENES} genes")
    most = LARGEST_MEAN_SHARE * n_vars
    if not 0 < nnz_per_obs <= most:
        raise SomarayError(
            f"nnz_per_obs {nnz_per_obs:g} with n_vars {n_vars}: expected more than 0 and at most {most:g}, "
            "a quarter of the genes"
        )
