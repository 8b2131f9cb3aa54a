"""Reports end to end, from run folders, from what a report kept and from one table; and what cannot be reported."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_study import write_decay_study, write_run

from lr_lab.errors import UserError
from lr_lab.report.evidence import OUTCOMES
from lr_lab.report.index import write_index
from lr_lab.report.making import make_report
from lr_lab.run.config import CONFIG_DIR
from lr_lab.run.source import code_of
from lr_lab.study.claims import Claim, read_claims
from lr_lab.study.study_file import read_study

FINALS = {"seq4_cutoff": 0.97, "seq1_epoch": 0.80, "seq3_epoch": 0.95}
SEEDS = range(5)  # two looks of the study


def _claims() -> list[Claim]:
    study = read_study(CONFIG_DIR, "decay_mnist")
    assert study is not None
    return read_claims("decay_mnist", study.claims)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study of 14 settings with its report."""
    folder = tmp_path_factory.mktemp("outputs")
    write_decay_study(folder, "decay_mnist", FINALS, SEEDS)
    make_report("decay_mnist", folder)
    return folder


@pytest.fixture(scope="module")
def made(outputs: Path) -> Path:
    return outputs / "reports" / "decay_mnist"


def test_every_file_is_there(made: Path) -> None:
    files = {str(file.relative_to(made)) for file in made.rglob("*") if file.is_file()}
    figures = {f"figures/figure_{n}.{e}" for n in ("1", "2", "3", "4", "5a", "5b", "8") for e in ("png", "svg")}
    figures |= {f"figures/{name}.{e}" for name in ("heat_map", "paired", "forest") for e in ("png", "svg")}
    tables = {
        f"{name}.{ending}"
        for name in ("comparison", "selection", "benchmarks", "diagnoses")
        for ending in ("csv", "md")
    }
    assert files == figures | tables | {
        "index.html",
        "report.md",
        "results.csv",
        "histories.csv.gz",
        "verdicts.csv",
        "looks.csv",
        "summary.json",
        "figures/answer.png",
        "figures/answer.svg",
    }


def test_verdicts_are_those_that_the_runs_were_made_for(made: Path) -> None:
    verdicts = pd.read_csv(made / "verdicts.csv")
    assert list(verdicts.columns[:7]) == ["claim", "verdict", "effect", "low", "high", "seeds", "p"]
    assert verdicts["claim"].tolist() == [c.name for c in _claims()]
    verdict = verdicts.set_index("claim")["verdict"]
    assert verdict["most_accurate_of_all"] == "reproduced"
    assert verdict["beats_benchmarks"] == "reproduced"
    assert verdict["epoch_most_accurate"] == "not reproduced"  # seq3 was given 0.95, seq4 0.90
    assert verdict["accuracies_close"] == "not reproduced"
    assert verdict["oscillate_most_accurate"] == "undecided"
    assert set(verdicts["look"]) == {5}
    assert verdicts.set_index("claim")["effect"]["most_accurate_of_all"] == pytest.approx(
        0.02 * (1 - 0.8**10), abs=0.005
    )


def test_the_page_says_what_the_files_say_and_needs_nothing_else(made: Path) -> None:
    page = (made / "index.html").read_text()
    for claim in _claims():
        assert claim.says in page
    outcomes = pd.read_csv(made / "verdicts.csv")["verdict"].map(OUTCOMES).value_counts()
    badges = re.findall(r'<p><span class="badge">(.*?)</span>', page)
    assert pd.Series(badges).value_counts().to_dict() == outcomes.to_dict()
    table = pd.read_csv(made / "comparison.csv").set_index("setting")
    assert f"<strong>{100 * table['val_accuracy'].max():.2f}</strong>" in page
    assert "In the source's own table it fails." in page
    assert "Figure 5b." in page
    assert 'name="viewport"' in page
    assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?!data:)', page)
    assert len(page) < 2_000_000


def test_the_markdown_has_tables_figures_and_verdicts(made: Path) -> None:
    text = (made / "report.md").read_text()
    assert "| By Cutoff | seq4 (cyclic) | **" in text
    assert "](figures/figure_2.png)" in text
    assert {Path(link).suffix for link in re.findall(r"\]\((.+?)\)", text)} == {".png"}, "what a code host shows"
    holds = text.partition("### Holds")[2].partition("###")[0]
    assert "| 4.2 (5) | Of all 14 settings, cyclic by cutoff ends most accurate. | smallest lead in final" in holds


def test_page_and_markdown_answer_first(made: Path) -> None:
    best = "“seq4 (cyclic), By Cutoff” has the highest final validation accuracy: 8"
    text = (made / "report.md").read_text()
    assert text.index("**Asked.**") < text.index(f"**Answer.** {best}") < text.index("](figures/answer.png)")
    assert text.index("](figures/answer.png)") < text.index("## Claims") < text.index("## Tables")
    assert "p = " not in text[: text.index("<details>")]
    page = (made / "index.html").read_text()
    assert page.index(best) < page.index("<figure><img") < page.index('id="claims"') < page.index('id="tables"')


def test_other_results_make_another_answer(tmp_path: Path) -> None:
    for lr, final in ((0.1, 0.6), (0.2, 0.7)):
        write_run(tmp_path, "demo", [0.3, 0.5, final], lr=lr)
    make_report("demo", tmp_path)
    text = (tmp_path / "reports" / "demo" / "report.md").read_text()
    assert "lr=0.2 has the highest final validation accuracy: 70.00%" in text
    write_run(tmp_path, "demo", [0.3, 0.5, 0.8], lr=0.3)
    make_report("demo", tmp_path)
    text = (tmp_path / "reports" / "demo" / "report.md").read_text()
    assert "lr=0.3 has the highest final validation accuracy: 80.00%" in text


def test_one_table_is_enough_for_tables_and_verdicts(outputs: Path, made: Path, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    everything = pd.read_csv(made / "results.csv")
    everything.drop(columns=["setting", "decline", "falls", "early_falls"]).to_csv(file, index=False)
    again, folder = make_report("decay_mnist", tmp_path, results=file)
    assert "Left out" not in again.facts
    assert folder == tmp_path / "reports" / "decay_mnist_from_table"
    pd.testing.assert_frame_equal(pd.read_csv(folder / "verdicts.csv"), pd.read_csv(made / "verdicts.csv"))
    assert not (folder / "histories.csv.gz").exists()


def test_a_study_that_reads_two_others(outputs: Path) -> None:
    write_decay_study(outputs, "decay_cifar10", {"sgd": 0.6, "adam": 0.6, "seq3_epoch": 0.95}, SEEDS)
    _, folder = make_report("decay", outputs)
    verdict = pd.read_csv(folder / "verdicts.csv").set_index("claim")["verdict"]
    assert verdict["mnist_easier"] == "reproduced"
    assert verdict["more_to_gain"] == "reproduced"
    assert verdict["exponential_accurate"] == "undecided"  # a mean of others has no kin: ranks of 5 seeds do not do
    assert '<a href="../decay_mnist/index.html">' in (folder / "index.html").read_text()
    with pytest.raises(UserError, match="cannot be judged from one table"):
        make_report("decay", outputs, results=folder / "verdicts.csv")


def test_any_folder_of_runs_is_a_study_and_made_again_from_what_its_report_kept(tmp_path: Path) -> None:
    for lr in (0.1, 0.2):
        for seed in range(3):
            write_run(tmp_path, "demo", [0.3, 0.5, 0.6 + lr + 0.001 * seed * lr], lr=lr, seed=seed)
    report, folder = make_report("demo", tmp_path)
    assert [table.name for table in report.tables] == ["comparison", "selection", "diagnoses"]
    assert any("Find out first: python -m src.lr_find" in sentence for sentence in report.advice)
    assert (folder / "figures" / "curves.svg").exists()
    assert "](figures/curves.png)" in (folder / "report.md").read_text()
    assert "all_val_accuracy" in (folder / "index.html").read_text()

    first = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.suffix != ".html"}
    shutil.rmtree(tmp_path / "demo")
    (folder / "comparison.csv").unlink()
    make_report("demo", tmp_path)
    for file, content in first.items():
        assert file.read_bytes() == content, file.name


def test_a_table_without_a_column_that_a_claim_needs(made: Path, tmp_path: Path) -> None:
    pd.read_csv(made / "results.csv").drop(columns="lr_updates").to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(UserError, match=r"Claim few_updates: .* has no column lr_updates"):
        make_report("decay_mnist", tmp_path, results=tmp_path / "runs.csv")


def test_runs_of_no_setting_are_left_out_and_counted(made: Path, tmp_path: Path) -> None:
    everything = pd.read_csv(made / "results.csv")
    stray = everything[everything["setting"] == "sgd"].assign(lr=0.5, val_accuracy=1.0, run="stray")
    pd.concat([everything, stray]).to_csv(tmp_path / "runs.csv", index=False)
    again, folder = make_report("decay_mnist", tmp_path, results=tmp_path / "runs.csv")
    assert again.facts["Left out"] == f"{len(SEEDS)} runs that belong to none of the settings"
    pd.testing.assert_frame_equal(pd.read_csv(folder / "verdicts.csv"), pd.read_csv(made / "verdicts.csv"))


def test_a_failed_run_does_not_hide_the_finished_one(tmp_path: Path) -> None:
    write_run(tmp_path, "demo", [0.3, 0.5, 0.6], lr=0.1)
    write_run(tmp_path, "demo", [0.3, 0.5, 0.6], lr=0.2, status="failed")
    report, _ = make_report("demo", tmp_path)
    assert any("1 failed" in sentence for sentence in report.advice)
    assert report.facts["Runs"] == "1 completed, 1 failed"
    assert report.tables[0].frame.set_index("setting")["runs"].to_dict() == {"lr=0.1": 1, "lr=0.2": 0}


def test_a_study_that_only_explores_says_what_is_missing(tmp_path: Path) -> None:
    names: dict[str, Any] = {"data": "mnist", "optimizer": "adam", "sequence": "constant"}
    write_run(tmp_path, "calibration", [0.5, 0.9], lr=0.001, config={"batch_size": 64}, **names)
    report, _ = make_report("calibration", tmp_path)
    assert report.advice == [
        "24 of 25 settings have no run yet: start the sweep again, it trains only what is missing, and then make the "
        "report again."
    ]
    assert not report.answer


def test_a_setting_that_never_had_a_finite_loss_does_not_hide_the_others(tmp_path: Path) -> None:
    write_run(tmp_path, "demo", [0.3, 0.5, 0.6], lr=0.1)
    write_run(tmp_path, "demo", [0.1], lr=1e9, val_loss=[float("inf")], train_loss=[float("nan")], status="diverged")
    _, folder = make_report("demo", tmp_path)
    names: dict[str, Any] = {"data": "mnist", "optimizer": "adam", "sequence": "constant"}
    for lr, loss in ((0.1, float("inf")), (0.01, 1.0)):
        losses: dict[str, Any] = {"val_loss": [loss] * 3, "train_loss": [loss] * 3}
        write_run(tmp_path, "fixed_mnist", [0.1] * 3, lr=lr, **losses, **names)
    _, other = make_report("fixed_mnist", tmp_path)
    assert (folder / "index.html").exists()
    assert (other / "figures" / "adam.png").exists()


def test_a_choice_that_is_a_list_tells_settings_apart(tmp_path: Path) -> None:
    rows = [
        {
            "run": f"{betas}{seed}",
            "status": "completed",
            "seed": seed,
            "lr": 0.1,
            "optimizer": "adam",
            "optimizer.betas": betas,
            "val_accuracy": accuracy,
        }
        for betas, accuracy in (("[0.9, 0.99]", 0.8), ("[0.9, 0.999]", 0.9))
        for seed in range(2)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "runs.csv", index=False)
    report, _ = make_report("mine", tmp_path, results=tmp_path / "runs.csv")
    assert [row[0] for row in report.tables[0].rows] == ["betas=[0.9, 0.999]", "betas=[0.9, 0.99]"]


def test_a_table_that_says_little_is_enough(tmp_path: Path) -> None:
    rows = [
        {"run": f"{lr}{seed}", "status": "completed", "seed": seed, "lr": lr, "optimizer": None, "val_accuracy": lr}
        for lr in (0.1, 0.2)
        for seed in range(2)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "runs.csv", index=False)
    report, _ = make_report("mine", tmp_path, results=tmp_path / "runs.csv")
    assert len(report.tables[0].rows) == 2


def test_what_only_histories_tell_is_undecided_from_a_table_without_it(tmp_path: Path) -> None:
    rows = [
        {"run": f"{seed}", "status": "completed", "seed": seed, "lr": 0.1, "val_loss": 0.1}
        | {"optimizer": "sgd", "data.noise": "uniform", "convergence_epoch": 31, "val_accuracy": None}
        for seed in range(2)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "runs.csv", index=False)
    report, _ = make_report("descent_line", tmp_path, results=tmp_path / "runs.csv")
    assert {shown.outcome for shown in report.claims} == {"open"}


def test_the_page_says_which_settings_lack_seeds(tmp_path: Path) -> None:
    for lr, seed in ((0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1), (0.3, 0)):
        write_run(tmp_path, "demo", [0.3, 0.5], lr=lr, seed=seed)
    report, _ = make_report("demo", tmp_path)
    assert report.facts["Seeds"] == "0, 1 (2 settings); 0 (1 setting)"
    shutil.rmtree(tmp_path / "demo" / "sgd-inverse-epoch-lr0.3-seed0")
    report, _ = make_report("demo", tmp_path, fewer=True)
    assert report.facts["Seeds"] == "0, 1"


def test_one_epoch_is_enough_for_a_report(tmp_path: Path) -> None:
    write_run(tmp_path, "decay_mnist", [0.5], optimizer="adam", sequence="constant", lr=0.001, data="mnist")
    _, folder = make_report("decay_mnist", tmp_path)
    assert (folder / "index.html").exists()


def test_runs_on_other_data_are_not_those_of_the_study(tmp_path: Path) -> None:
    write_run(tmp_path, "decay_mnist", [0.5], optimizer="adam", sequence="constant", lr=0.001, data="digits")
    with pytest.raises(UserError, match="no finished run of any of its settings"):
        make_report("decay_mnist", tmp_path)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_notice_may_be_about_the_configuration(tmp_path: Path, precision: str) -> None:
    config = {"trainer": {"precision": precision}, "model": {"dropout": 0}}
    names: dict[str, Any] = {"optimizer": "momentum", "sequence": "constant", "data": "fer2013"}
    write_run(tmp_path, "fer2013", [0.5, 0.6], config=config, **names)
    report, _ = make_report("fer2013", tmp_path)
    assert any("mixed precision" in sentence for sentence in report.notices) is (precision == "bf16-mixed")


def test_runs_older_than_their_code_are_marked(tmp_path: Path) -> None:
    data = {"files": 0, "digest": ""}
    for lr in (0.1, 0.2):
        folders = [write_run(tmp_path, "demo", [0.5, 0.6], lr=lr, seed=seed) for seed in range(2)]
        folders[0].write_inputs({"lr_lab.schedule.sequences.Inverse": "0" * 16}, data)
        folders[1].write_inputs(code_of("lr_lab.schedule.Inverse"), data)
    report, folder = make_report("demo", tmp_path)
    (sentence,) = report.notices
    assert sentence.startswith("2 runs are older than their inputs: the code of lr_lab.schedule.sequences.Inverse ch")
    assert sentence in (folder / "report.md").read_text()


def test_what_a_report_kept_stays_until_there_is_something_to_report(tmp_path: Path) -> None:
    kept = tmp_path / "reports" / "decay_mnist" / "results.csv"
    kept.parent.mkdir(parents=True)
    kept.write_text("kept")
    write_run(tmp_path, "decay_mnist", [0.5, 0.6], optimizer="adam", sequence="constant", lr=0.001, status="running")
    with pytest.raises(UserError, match="no finished run"):
        make_report("decay_mnist", tmp_path)
    assert kept.read_text() == "kept"


def test_a_report_of_fewer_runs_does_not_replace_one_of_more(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "demo", [0.5, 0.6], lr=lr, seed=seed) for lr in (0.1, 0.2) for seed in range(2)]
    _, folder = make_report("demo", tmp_path)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    shutil.rmtree(runs[0].path)
    with pytest.raises(UserError, match=r"reports on 4 finished runs and there are 3 now, .*make restore STUDY=demo"):
        make_report("demo", tmp_path)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    make_report("demo", tmp_path, fewer=True)
    assert len(pd.read_csv(folder / "results.csv")) == 3


def _cut(file: Path, share: float) -> None:
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("name", ["config.yaml", "history.csv", "result.json"])
def test_a_cut_file_of_a_run_is_named(tmp_path: Path, name: str, share: float) -> None:
    runs = [write_run(tmp_path, "demo", [0.5, 0.6, 0.7], lr=lr) for lr in (0.1, 0.2)]
    _cut(runs[0].path / name, share)
    if name == "result.json":
        report, folder = make_report("demo", tmp_path)
        assert report.notices == [
            "result.json cannot be read, so these runs are left out until their sweep has written it anew: "
            f"{runs[0].path.name}."
        ]
        assert len(pd.read_csv(folder / "results.csv")) == 1
    else:
        with pytest.raises(UserError, match=rf"{runs[0].path.name}/{name}"):
            make_report("demo", tmp_path)


@pytest.mark.parametrize(
    ("name", "share"),
    [("results.csv", 0), ("results.csv", 0.5), ("histories.csv.gz", 0), ("histories.csv.gz", 0.5), ("looks.csv", 0)],
)
def test_a_cut_file_of_a_report_is_named(outputs: Path, tmp_path: Path, name: str, share: float) -> None:
    kept = tmp_path / "reports" / "decay_mnist"
    shutil.copytree(outputs / "reports" / "decay_mnist", kept)
    _cut(kept / name, share)
    with pytest.raises(UserError, match=name):
        make_report("decay_mnist", tmp_path)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_cut_summary_is_named(outputs: Path, tmp_path: Path, share: float) -> None:
    shutil.copytree(outputs / "reports" / "decay_mnist", tmp_path / "decay_mnist")
    _cut(tmp_path / "decay_mnist" / "summary.json", share)
    with pytest.raises(UserError, match=r"decay_mnist/summary\.json is damaged; write that report anew"):
        write_index(tmp_path)


def test_a_study_that_nobody_ran(outputs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"study=nobody has no runs in .*train it with .python -m src.train -m"):
        make_report("nobody", tmp_path)
    with pytest.raises(UserError, match=r"python -m src.study study=decay_cifar10"):
        make_report("decay_cifar10", tmp_path)
    with pytest.raises(UserError, match=r"there are .*decay_mnist"):
        make_report("nobody", outputs)


@pytest.mark.parametrize(("option", "words"), [("", "Name the study"), ("index=maybe", "index=maybe is not allowed")])
def test_a_report_of_nothing_is_refused(tmp_path: Path, option: str, words: str) -> None:
    command = [sys.executable, "-m", "src.report", f"output_dir={tmp_path}", *option.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CONFIG_DIR.parent)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {words}")


def test_the_command_writes_the_index_alone(made: Path) -> None:
    index = made.parent / "index.md"
    command = [sys.executable, "-m", "src.report", "index=true", f"output_dir={made.parent.parent}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CONFIG_DIR.parent)
    assert (done.returncode, done.stdout) == (0, f"The index is {index.with_suffix('.html')}.\n")
    assert "[decay_mnist](decay_mnist/report.md)" in index.read_text()


def test_a_mistake_on_the_command_line_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "src.report", "study=nobody", f"output_dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CONFIG_DIR.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("error: study=nobody has no runs")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_stops_reading_ends_what_is_said_quietly(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.5, 0.6])
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "src.report", "study=mine", f"output_dir={tmp_path}"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=CONFIG_DIR.parent)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "reports" / "mine" / "index.html").exists()


def test_nothing_is_ranked_across_datasets(tmp_path: Path) -> None:
    """Of a folder that no file describes: the better dataset is not the better setting."""
    for data, least in (("digits", 0.9), ("mnist", 0.5)):
        for lr in (0.1, 0.2):
            for seed in range(3):
                final = least + lr / 10 + 0.001 * seed
                run = write_run(tmp_path, "mixed", [0.3, final - 0.1, final], seed=seed, lr=lr, data=data)
                run.path.rename(run.path.with_name(f"{data}-{run.path.name}"))
    report, _ = make_report("mixed", tmp_path)
    for data, reached in (("digits", "92.10%"), ("mnist", "52.10%")):
        assert any(s.startswith(f"“lr=0.2 {data}” has the highest") and reached in s for s in report.answer)
        assert sum(f"{data}”" in s for s in report.decided) == 1
    table = next(table for table in report.tables if table.name == "comparison")
    assert [row[:2] for row in table.rows] == [[d, f"lr={lr}"] for d in ("digits", "mnist") for lr in (0.2, 0.1)]
    assert sum("**" in cell for row in table.rows for cell in row[2:3]) == 2  # the best of each
    assert not (tmp_path / "reports" / "mixed" / "figures" / "answer.svg").exists()
    assert not any("digits”" in s and " mnist”" in s for s in (*report.answer, *report.decided, *report.advice))
