"""Findings about reading: X read more often than once."""

from somaray.matrix import Run
from somaray.report.findings.scope import Case, Finding, RunRecords, Scope, finding_of
from somaray.units import format_bytes, format_seconds, significant

LEAST_PASSES = 1.5
LEAST_BYTES_RATIO = 1.8
LEAST_STORED_BYTES = 4 * 2**20
"""Below that, obs, var and the arrays' own metadata outweigh X in what is read."""


def read_again(scope: Scope) -> Finding | None:
    """X read more than once: by reads of chunks where they are counted, by bytes elsewhere."""
    cases = [case for each in scope.runs if (case := _by_chunks(scope, each) or _by_bytes(scope, each)) is not None]
    seen = {case.run for case in cases}
    median_pass = any(
        done.hvg.target_sum is None and not done.hvg.flavor.startswith("seurat_v3")
        for each in scope.runs
        if each.run in seen
        for done in each.executions
    )
    parts = []
    if median_pass and scope.method != "one-pass":
        parts.append(
            "Without `hvg.target_sum`, `normalize_total` first takes the median of all cells' totals, which is one pass; set "
            "to a number it saves that pass, but normalises to another total and so changes the scores."
        )
    if scope.method != "one-pass":
        parts.append("`one-pass` gives the same genes from fewer reads (one for the `seurat` flavour).")
    remedy = " ".join(parts) or "This flavour takes means first and clipped variances then: two passes over X."
    return finding_of(
        scope,
        "read-again",
        "X read more than once",
        cases,
        "times X was read:",
        lambda times: significant(times, 2),
        remedy,
        more=_one_pass(scope, seen),
    )


def _by_chunks(scope: Scope, each: RunRecords) -> Case | None:
    reads = next((done.chunk_reads for done in each.good if done.chunk_reads), None)
    if reads is None or not each.n_chunks or reads < LEAST_PASSES * each.n_chunks:
        return None
    passes = reads / each.n_chunks
    text = f"{reads:,} reads of {each.n_chunks:,} chunk{'s' * (each.n_chunks != 1)}, {significant(passes, 2)} of each"
    if scope.manifest and scope.manifest.nnz:
        stored = scope.manifest.nnz
        text += f": some {round(passes * stored):,} non-zeros read, {stored:,} stored"
    read_bytes = each.over(lambda done: done.vfs_read_bytes)
    if read_bytes is not None and scope.manifest and scope.manifest.size_bytes:
        text += (
            f"; {format_bytes(read_bytes)} read by TileDB in all, X on disk {format_bytes(scope.manifest.size_bytes)}"
        )
    return Case(each.run, passes, text)


def _by_bytes(scope: Scope, each: RunRecords) -> Case | None:
    """By what TileDB read: system calls also read what Python imports, and files that are not the store."""
    manifest, read_bytes = scope.manifest, each.over(lambda done: done.vfs_read_bytes)
    if manifest is None or not manifest.size_bytes or read_bytes is None:
        return None
    filtered = (manifest.n_obs, manifest.n_vars) != (manifest.stored_n_obs, manifest.stored_n_vars)
    counted = any(done.chunk_reads is not None for done in each.good)
    ratio = read_bytes / manifest.size_bytes
    if filtered or counted or manifest.size_bytes < LEAST_STORED_BYTES or ratio < LEAST_BYTES_RATIO:
        return None
    text = (
        f"{format_bytes(read_bytes)} read by TileDB, obs and var among them, where X is {format_bytes(manifest.size_bytes)} "
        "on disk"
    )
    return Case(each.run, ratio, text)


def _one_pass(scope: Scope, seen: set[Run]) -> list[str]:
    """How long the fastest run that reads X once took, beside the fastest of those seen."""
    own = [each for each in scope.runs if each.run in seen and each.wall_seconds]
    other = [each for each in scope.beside if each.run.method == "one-pass" and each.wall_seconds]
    if not own or not other:
        return []
    slow, quick = (min(runs, key=lambda each: each.wall_seconds or 0.0) for runs in (own, other))
    return [
        f"Fastest of these, `{slow.run.setting}`: {format_seconds(slow.wall_seconds or 0)}; fastest `one-pass`, "
        f"`{quick.run.setting}`: {format_seconds(quick.wall_seconds or 0)}."
    ]
