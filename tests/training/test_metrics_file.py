from kerasrec.training.metrics_file import metrics_line, read_metrics

LINES = [{"kind": "train", "step": step, "loss": 1 / step} for step in range(1, 9)]


def test_lines_that_are_not_figures_are_left_out(tmp_path, caplog):
    foreign = ["[]", "null", "{}", '{"step": "8"}', '{"step": 8, "loss": null}', "[" * 100_000, "\0" * 40, "\udc80"]
    content = "".join(metrics_line(line) + extra + "\n" for line, extra in zip(LINES, foreign, strict=True))
    (tmp_path / "metrics.jsonl").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert read_metrics(tmp_path / "metrics.jsonl") == LINES
    assert "8 of 16 lines are damaged" in caplog.text
