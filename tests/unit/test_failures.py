from somaray.failures import failures, note_failure


def test_failures_are_counted_by_execution(tmp_path) -> None:
    assert failures(tmp_path, "capture") == 0
    note_failure(tmp_path, "capture")
    note_failure(tmp_path, "capture")
    note_failure(tmp_path, "timing-1")
    assert (failures(tmp_path, "capture"), failures(tmp_path, "timing-1"), failures(tmp_path, "timing-2")) == (2, 1, 0)
