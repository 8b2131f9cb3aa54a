"""The table at the end of a sweep."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from lr_lab.run.config import compose
from lr_lab.sweep.outcome import Setting, report_outcome, settings_table
from lr_lab.sweep.runs import Run

RUN = {"lr": 0.1, "strategy": "epoch", "val_accuracy": 0.9, "best_val_accuracy": 0.92, "status": "completed"}


def _printed(*settings: Setting, intervals: dict[str, str] | None = None) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(settings_table(settings, intervals or {}))
    return out.getvalue()


def _lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.lstrip().startswith("0.")]


def test_a_rate_that_never_changed_has_0_updates() -> None:
    for updates in (7, 0):
        text = _printed(("", {}, [RUN | {"lr_updates": updates}]))
        assert _lines(text) == [["0.1", "epoch", "90.00%", "92.00%", str(updates), "completed"]]


def test_a_setting_with_seeds_is_a_row_of_means() -> None:
    seeds = [RUN | {"diagnosis": "healthy", "convergence_epoch": 4}, RUN | {"val_accuracy": 0.7, "diagnosis": "stuck"}]
    text = _printed(("lr=0.1", {}, seeds), intervals={"lr=0.1": "[60.00, 100.00]"})
    assert _lines(text) == [
        ["0.1", "epoch", "2", "80.00%", "[60.00,", "100.00]", "4", "(1", "of", "2)", "1", "healthy,", "1", "stuck"]
    ]
    assert "status" not in text  # all completed


def test_states_are_counted_where_they_differ() -> None:
    text = _printed(("lr=0.1", {}, [RUN, RUN | {"status": "diverged", "epochs_run": 2}]))
    assert "1 completed, 1 diverged" in text
    alone = _printed(("lr=0.1", {}, [RUN | {"status": "diverged", "epochs_run": 2}]))
    assert "diverged after 2" in alone


def _finished(output_dir: Path, accuracy: float, *overrides: str, **settings: str) -> Run:
    run = Run(compose(f"output_dir={output_dir}", *overrides), settings)
    run.folder.write_result(run.result() | {"status": "completed", "val_accuracy": accuracy})
    return run


def test_a_sweep_ends_with_its_settings_best_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reached = {"0.001": (0.41, 0.4, 0.4), "0.01": (0.9, 0.91, 0.9), "0.1": (0.9, 0.9, 0.93)}
    runs = [
        _finished(tmp_path / "my runs", accuracy, f"lr={lr}", f"seed={seed}", lr=lr, seed=str(seed))
        for lr, accuracies in reached.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    report_outcome(runs, Console(width=100))
    out = capsys.readouterr().out
    assert [(row[0], row[3]) for row in _lines(out)] == [("0.1", "91.00%"), ("0.01", "90.33%"), ("0.001", "40.33%")]
    assert "3 seeds rule out lr=0.001; with 95% certainty the best" in out
    assert f"Report:  python -m src.report study=first_look 'output_dir={tmp_path}/my runs'\n" in out
    assert f"Curves:  tensorboard --logdir '{tmp_path}/my runs/first_look'\n" in out
    assert "src.study study=first_look" in out
    assert "•" not in out  # not a terminal


def test_a_terminal_that_can_shows_a_plot(tmp_path: Path) -> None:
    runs = [_finished(tmp_path, 0.5 + lr, f"lr={lr}", lr=str(lr)) for lr in (0.1, 0.2)]
    shown = {}
    for encoding in ("utf-8", "ascii"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        report_outcome(runs, Console(file=out, force_terminal=True, width=100, color_system=None))
        out.flush()
        shown[encoding] = out.buffer.getvalue().decode()
    assert "lr=0.2 │" in shown["utf-8"]
    assert "final validation accuracy, a" not in shown["ascii"]


def test_nothing_is_ranked_across_datasets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {"digits": ("simple_cnn", "mnist_cnn"), "mnist": ("simple_cnn",)}
    runs = [
        _finished(tmp_path, 0.5 + lr, f"lr={lr}", f"data={data}", f"model={model}", lr=str(lr), data=data, model=model)
        for data, models in kinds.items()
        for model in models
        for lr in (0.1, 0.2)
    ]
    report_outcome(runs, Console(width=100))
    out = capsys.readouterr().out
    titles = [out.index(title) for title in ("digits, simple_cnn", "digits, mnist_cnn", "mnist, simple_cnn")]
    assert titles == sorted(titles)
    assert [row[0] for row in _lines(out)] == ["0.2", "0.1"] * 3
    assert out.count("digits: One seed cannot tell settings apart") == 1
    assert out.count("\nmnist: One seed cannot tell settings apart") == 1
    assert "src.study" not in out


def test_notes_on_data_are_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = []
    for lr in (0.1, 0.2):
        config = compose(f"lr={lr}", f"output_dir={tmp_path}")
        runs.append(Run(config, settings={"lr": str(lr)}))
        runs[-1].folder.write_result(runs[-1].result() | {"data_notes": ["Left out: 3 files."]})
    report_outcome(runs, Console())
    assert capsys.readouterr().out.count("Data:    Left out: 3 files.\n") == 1
