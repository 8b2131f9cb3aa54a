"""Studies: those that are written down, against the document; those that are discovered; and what goes wrong."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lr_lab.errors import UserError
from lr_lab.report import figures
from lr_lab.run.config import CONFIG_DIR
from lr_lab.study.claims import read_claims, statement
from lr_lab.study.metrics import METRICS
from lr_lab.study.study_file import Notice, Setting, Study, assign, discover, read_study
from lr_lab.study.values import Values

# Accuracy and epochs at convergence in tables 1 and 2 of Yang & Huang 2019, line by line.
TABLES = {
    "decay_mnist": """
        0.98264 34  0.98574 30
        0.97608 48  0.98230 38  0.98263 19  0.98527 40
        0.98290 32  0.98405 28  0.98614 29  0.98656 22
        0.98372 25  0.98544 27  0.98514 24  0.98586 30
    """,
    "decay_cifar10": """
        0.7487 25  0.7309 17
        0.763 8  0.7696 12  0.7803 11  0.7679 14
        0.7714 15  0.6438 25  0.6004 25  0.5848 25
        0.7677 8  0.773 11  0.7692 15  0.7673 12
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_the_published_numbers_are_the_documents(name: str) -> None:
    numbers = TABLES[name].split()
    expected = [(float(accuracy), int(epochs)) for accuracy, epochs in zip(numbers[::2], numbers[1::2], strict=True)]
    study = read_study(CONFIG_DIR, name)
    assert study is not None
    published = [(s.published["val_accuracy"], s.published["convergence_epoch"]) for s in study.settings]
    assert published == expected


def test_a_decay_study_has_the_documents_14_settings() -> None:
    study = read_study(CONFIG_DIR, "decay_mnist")
    assert study is not None
    assert {group: len(settings) for group, settings in study.groups.items()} == {
        "Benchmark": 2,
        "By Epoch": 4,
        "By Cutoff": 4,
        "By Oscillate": 4,
    }
    assert list(study.compared_groups) == ["By Epoch", "By Cutoff", "By Oscillate"]
    assert study.tolerance == 0.002


def test_a_benchmark_among_settings_without_groups_stands_alone() -> None:
    settings = [Setting(name, name, {"lr": lr}) for name, lr in (("sgd", 0.1), ("low", 0.2), ("high", 0.3))]
    study = Study("mine", "Mine", settings=settings, benchmark="sgd")
    assert [setting.name for setting in study.benchmarks] == ["sgd"]
    assert {group: [s.name for s in rivals] for group, rivals in study.compared_groups.items()} == {"": ["low", "high"]}
    assert replace(study, benchmark=None).benchmarks == []


def test_no_file_is_no_study() -> None:
    assert read_study(CONFIG_DIR, "nobody_wrote_this") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: [", r"studies/mine\.yaml, line 1 is not valid YAML: .*; correct it there\."),
        ("titel: x", "has titel; allowed are answers, benchmark, budget, choices, claims"),
        ("title: x\nnotices: [{says: x, if: {data: mnist}}]", "notice 1 has if; allowed are says, when"),
        ("title: x\nsettings: {a: {label: A, were: {lr: 1}}}", "setting a has were; allowed are group, kin, label"),
        ("question: x", "has no title"),
        ("title: x\nsettings: {a: {label: A}}", "setting a has no where"),
        ("title: x\nsettings: [a, b]", "settings: .* is not a mapping"),
        ("", "has no title"),
        ("title: x\nsettings:\n  a:", "setting a has no label"),
        ("title: x\nsettings: {a: {label: A, where: 0.1}}", "setting a, where: 0.1 is not a mapping"),
        ("title: x\nfigures: [{name: a, kind: curves}]", "figure 1 has no caption"),
        ("title: x\nnotices: [{says: x}]", "notice 1 has no when"),
        ("title: x\nbenchmark: b\nsettings: {a: {label: A, where: {lr: 1}}}", "benchmark=b is not one of its settings"),
        ("title: x\nanswers: [val_accuracy, speed]", "answers=speed is neither one of its claims nor a metric"),
    ],
)
def test_a_study_that_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        read_study(tmp_path, "mine")


def _results(**columns: Sequence[object]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"run": [f"run{i}" for i in range(count)], "status": "completed", "seed": 0, **columns})


def test_what_varies_tells_settings_apart() -> None:
    results = _results(
        lr=[0.1, 0.01, 0.1, 0.01],
        strategy=["epoch", "epoch", "cutoff", "cutoff"],
        optimizer=["sgd"] * 4,
        epochs=[5] * 4,
    )
    study = discover("mine", results)
    assert {s.label for s in study.settings} == {"lr=0.01 cutoff", "lr=0.1 cutoff", "lr=0.01 epoch", "lr=0.1 epoch"}
    assert assign(results, study.settings).nunique() == 4


def test_what_only_follows_from_another_choice_is_not_said_twice() -> None:
    results = _results(optimizer=["sgd", "adam"], momentum=[0.9, float("nan")], lr=[0.1, 0.1])
    assert [setting.label for setting in discover("mine", results).settings] == ["adam", "sgd"]


def test_columns_of_the_configuration_tell_settings_apart_where_nothing_else_does() -> None:
    choices: dict[str, Sequence[object]] = {"strategy.baseline": ["first_epoch", "untrained"]}
    results = _results(lr=[0.1, 0.1], **choices)
    labels = [setting.label for setting in discover("mine", results).settings]
    assert labels == ["baseline=first_epoch", "baseline=untrained"]


def test_runs_of_one_kind_are_one_setting() -> None:
    (setting,) = discover("mine", _results(lr=[0.1])).settings
    assert setting.label == "all runs"
    assert assign(_results(lr=[0.1]), [setting]).tolist() == [setting.name]


def test_a_run_of_no_setting_has_none() -> None:
    names = assign(_results(lr=[0.1, 0.2]), [Setting("a", "A", {"lr": [0.1, 0.3]})])
    assert names[0] == "a"
    assert pd.isna(names[1])


def test_a_missing_column_is_named() -> None:
    with pytest.raises(UserError, match="no column strategy, by which setting a is told"):
        assign(_results(lr=[0.1]), [Setting("a", "A", {"strategy": "epoch"})])


def test_a_run_that_failed_is_no_second_one() -> None:
    results = _results(lr=[0.1, 0.1]).assign(status=["completed", "failed"])
    assert assign(results, [Setting("a", "A", {"lr": 0.1})]).tolist() == ["a", "a"]


def test_what_all_runs_of_a_study_share_is_part_of_every_setting(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    settings = "{a: {label: A, where: {lr: 1}}, b: {label: B, where: {data: digits}}}"
    text = f"title: x\nwhere: {{data: mnist}}\nsettings: {settings}"
    (tmp_path / "studies" / "mine.yaml").write_text(text)
    study = read_study(tmp_path, "mine")
    assert study is not None
    assert [setting.where for setting in study.settings] == [{"data": "mnist", "lr": 1}, {"data": "digits"}]


def test_two_runs_with_one_seed_are_refused_also_if_they_have_numbers_for_names() -> None:
    with pytest.raises(UserError, match=r"2 runs are seed 0 of setting a \(7, 8\)"):
        assign(_results(lr=[0.1, 0.1]).assign(run=[7, 8]), [Setting("a", "A", {"lr": 0.1})])


def test_two_runs_with_one_seed_are_refused() -> None:
    with pytest.raises(UserError, match=r"2 runs are seed 0 of setting a \(run0, run1\)"):
        assign(_results(lr=[0.1, 0.1]), [Setting("a", "A", {"lr": 0.1})])


def test_a_notice_is_for_the_runs_it_is_about() -> None:
    notice = Notice("a stand-in", {"data": "fer2013_standin"})
    assert notice.applies(pd.DataFrame({"data": ["fer2013", "fer2013_standin"]}))
    assert not notice.applies(pd.DataFrame({"data": ["fer2013"]}))
    assert not notice.applies(pd.DataFrame({"seed": [0]}))


@pytest.mark.parametrize("file", sorted((CONFIG_DIR / "studies").glob("*.yaml")), ids=lambda file: file.stem)
def test_what_a_study_names_is_there(file: Path) -> None:
    """Its figures' settings and columns, its table's metrics, its groups, and all that its claims are tested on."""
    study = read_study(CONFIG_DIR, file.stem)
    assert study is not None
    parts = [part for name in study.reads if (part := read_study(CONFIG_DIR, name))]
    settings = [*study.settings, *(replace(s, name=f"{part.name}/{s.name}") for part in parts for s in part.settings)]
    values = Values.published(replace(study, settings=settings))
    for figure in study.figures:
        assert values.match(figure.get("settings", "*"))
        assert set(figure.get("columns", ())) <= set(figures.COLUMN_LABELS)
        assert {"name", "kind", "caption"} <= set(figure)
    assert set(study.metrics) <= set(METRICS)
    assert set(study.exploration) <= set(study.groups)
    assert all({"what", "value", "why"} == set(choice) for choice in study.choices)
    for claim in read_claims(file.name, study.claims):
        statement(claim, values)
        metric = claim.arguments["metric"]
        assert metric in METRICS or "/" in metric  # a probe's column


def test_runs_that_differ_in_what_the_study_leaves_open_are_no_one_setting() -> None:
    results = _results(lr=[0.1, 0.1], epochs=[100, 5]).assign(seed=[0, 1])
    with pytest.raises(UserError, match=r"of setting a have epochs=100, 5, .* move those with epochs=5 .*\(run1\)"):
        assign(results, [Setting("a", "A", {"lr": 0.1})])
    assert list(assign(results, [Setting("a", "A", {"lr": 0.1, "epochs": [5, 100]})])) == ["a", "a"]
