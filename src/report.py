"""One study: run folders -> tables, figures, verdicts, one web page. `python -m src.report --help` says how."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from src.analysis import aggregate, descent_figures, figures, interactive, page, report_tables
from src.analysis.advice import advise, headline
from src.analysis.aggregate import METRICS, Runs, Values
from src.analysis.claims import Claim, judge, read_claims
from src.analysis.report_tables import Pick, main_metric
from src.analysis.study import Setting, Study, discover, read_study
from src.config import CONFIG_DIR
from src.errors import UserError
from src.run_folder import run_folders, write_text

if TYPE_CHECKING:
    from src.data.in_memory import InMemoryDataModule

# More lines than this cannot be told apart; the best are shown.
MOST_CURVES = 40
MOST_CURVES_IN_A_FIGURE = 12

UNKNOWN = (
    "Validation sets are finite: intervals are over seeds, for this validation set, and say nothing about other data.",
)


def report(
    name: str, output_dir: Path, results: Path | None = None, report_dir: Path | None = None
) -> tuple[page.Report, Path]:
    """Writes the report of a study and returns it with its folder.

    The runs come from `<output_dir>/<name>`; where that is missing, from what an earlier report kept; or from the
    table `results` alone.

    Raises:
        UserError: there is nothing to report on, or a file is not as it must be; the sentence says what to do.
    """
    folder = report_dir or output_dir / "reports" / (f"{name}_from_table" if results else name)
    study = read_study(CONFIG_DIR, name)
    left_out = 0
    if study and study.reads:
        if results:
            raise UserError(f"{name} reads {' and '.join(study.reads)}; it cannot be judged from one table.")
        study, runs = _combined(study, output_dir)
    else:
        runs = aggregate.read_table(results) if results else _read(name, study, output_dir)
        study = study or discover(name, runs.finished)
        every, runs = runs, aggregate.judged(runs, study)
        left_out = len(every.results) - len(runs.results)
        aggregate.write_runs(every, runs, folder)
    if runs.finished.empty:
        raise UserError(f"Study {name} has no finished run of any of its settings; let its sweep finish, then report.")
    made = _assemble(study, runs, folder, read_claims(CONFIG_DIR / "claims" / f"{name}.yaml"), output_dir)
    if left_out:
        made = replace(made, facts={**made.facts, "Left out": f"{left_out} runs that belong to none of the settings"})
    _write(made, folder)
    return made, folder


def _read(name: str, study: Study | None, output_dir: Path) -> Runs:
    if run_folders(output_dir / name):
        return aggregate.read_runs(output_dir / name, study.tolerance if study else None)
    kept = output_dir / "reports" / name
    if (kept / "results.csv").exists():
        return aggregate.read_report(kept)
    found = dict.fromkeys(path.parent.parent.name for path in sorted(output_dir.glob("*/*/config.yaml")))
    hint = f", or name another; there are {', '.join(found)}." if found else "."
    training = f"make reproduce-{name}" if study else f"python -m src.train -m study={name} lr=0.1,0.01"
    raise UserError(
        f"study={name} has no runs in {output_dir / name} and no report in {kept}; train it with `{training}`{hint}"
    )


def _combined(study: Study, output_dir: Path) -> tuple[Study, Runs]:
    """The studies that this one reads, as one: their settings carry the name of their study."""
    settings: list[Setting] = []
    results = []
    for name in study.reads:
        part = read_study(CONFIG_DIR, name)
        if part is None:
            raise UserError(f"{study.name} reads {name}, but there is no conf/studies/{name}.yaml.")
        runs = aggregate.judged(_read(name, part, output_dir), part)
        settings += [replace(s, name=f"{name}/{s.name}", group=f"{name}: {s.group}") for s in part.settings]
        results.append(runs.results.assign(setting=f"{name}/" + runs.results["setting"]))
    return replace(study, settings=settings), Runs(pd.concat(results, ignore_index=True))


def _assemble(study: Study, runs: Runs, folder: Path, claims: Sequence[Claim], output_dir: Path) -> page.Report:
    values = Values(runs.results, [setting.name for setting in study.settings], f"The table of {study.name}")
    tables = [report_tables.comparison(study, values, runs)]
    if like := report_tables.likeness(study, values):
        tables.append(like)
    made = page.Report(
        study=study,
        headline=[],
        tables=tables,
        findings=judge(claims, values, Values.published(study)),
        advice=[],
        facts=page.facts(study, runs),
        unknown=study.unknown or UNKNOWN,
    )
    if study.reads:  # selection, curves and advice stand in the reports of the studies read
        return made
    contest = study.without_exploration
    contenders = Values(runs.results, [setting.name for setting in contest.settings], values.place)
    picks = report_tables.pick(contest, contenders)
    if picks:
        tables.append(report_tables.selection(contest, picks))
        second = report_tables.against_benchmarks(contest, contenders, picks)
        tables += [second] if second else []
    illustrations, drawing = _illustrate(study, runs, values, picks, folder / "figures", output_dir)
    return replace(
        made,
        headline=headline(contest, contenders),
        advice=advise(contest, contenders, runs.of(contenders.settings)),
        illustrations=illustrations,
        drawing=drawing,
    )


def _illustrate(
    study: Study, runs: Runs, values: Values, picks: Sequence[Pick], folder: Path, output_dir: Path
) -> tuple[list[page.Picture | interactive.Panel], interactive.Drawing]:
    """Draws all figures into the folder; returns them as the page shows them: curves that move, and pictures."""
    look = figures.styles(study)
    entries = _figures(study, values)
    metric = main_metric(values)
    together = [metric, "train_loss" if metric == "val_loss" else "val_loss", "lr"]
    columns = dict.fromkeys(together)
    for entry in entries:
        columns |= dict.fromkeys(entry.get("columns", ()) if entry["kind"] == "panels" else ())
        columns |= dict.fromkeys([entry.get("column", "val_accuracy")] if entry["kind"] == "curves" else ())
    sources = {n: interactive.source(runs, n, list(columns)) for n in values.settings if len(runs.curve(n, "lr"))}

    def lines(names: Sequence[str]) -> list[interactive.Line]:
        labels = figures.labels(study, names)
        return [interactive.Line(sources[name], labels[name], look[name]) for name in names]

    def panel_plots(name: str, names: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
        return {
            f"{name}_{column}": interactive.plot(
                f"{name}_{column}", lines(names), column, scale=figures.loss_scale(runs, names, column)
            )
            for column in columns
        }

    shown: list[page.Picture | interactive.Panel] = []
    plots: dict[str, Any] = {}
    for entry in entries:
        path = folder / entry["name"]
        if entry["kind"] == "sequences":
            figures.save(figures.sequences(entry["lr"], entry["length"]), path)
            shown.append(page.Picture(entry["caption"], path.with_suffix(".svg")))
        elif entry["kind"] == "curves":
            names = [n for n in figures.chosen_settings(entry, study, values, picks) if n in sources]
            if names:
                axis = figures.Axis.of(entry, study, runs, names)
                figures.save(figures.curves(study, runs, names, axis), path)
                drawn = interactive.curves(entry["name"], lines(names), axis)
                shown.append(interactive.Panel(entry["caption"], list(drawn), lines(names)))
                plots |= drawn
        elif entry["kind"] == "panels":
            names = [n for n in values.match(entry["settings"]) if n in sources]
            if names:
                figures.save(figures.panels(study, runs, names, entry["columns"]), path)
                drawn = panel_plots(entry["name"], names, entry["columns"])
                shown.append(interactive.Panel(entry["caption"], list(drawn), lines(names)))
                plots |= drawn
        elif entry["kind"] == "contraction":
            names = values.match(entry["settings"])
            rows = runs.finished[runs.finished["setting"].isin(names)]
            if "contraction" in rows:  # not in a table alone
                figures.save(descent_figures.contraction(rows), path)
                shown.append(page.Picture(entry["caption"], path.with_suffix(".svg")))
        elif entry["kind"] in ("examples", "fit", "path", "animation"):
            _draw_from_data(entry, study, runs, output_dir / study.name, path)
            if file := page.figure_file(path):  # one that an earlier report drew, where the data are not at hand
                shown.append(page.Picture(entry["caption"], file))
        else:
            raise UserError(
                f"Figure {entry['name']} of study {study.name}: kind={entry['kind']} is not known; "
                "known are sequences, curves, panels, examples, fit, path, animation, contraction."
            )
    names = [name for name in _best(values, MOST_CURVES) if name in sources]
    if names:
        drawn = panel_plots("all", names, together)
        few = "" if len(names) == len(sources) else f", the best {len(names)} of {len(sources)}"
        title = f"All settings{few}: {', '.join(figures.COLUMN_LABELS[column] for column in together)}."
        shown.append(interactive.Panel(title, list(drawn), lines(names)))
        plots |= drawn
    return shown, interactive.draw(plots)


def _figures(study: Study, values: Values) -> Sequence[Mapping[str, Any]]:
    """The study's figures; the curves of its best settings for a study without a file."""
    if study.figures:
        return study.figures
    names = _best(values, MOST_CURVES_IN_A_FIGURE)
    few = "" if len(names) == len(values.settings) else f" of the best {len(names)} of {len(values.settings)} settings"
    metric = main_metric(values)
    caption = f"{figures.COLUMN_LABELS[metric].capitalize()}{few}; on the right a closer look at the last quarter."
    return [{"name": "curves", "kind": "curves", "settings": names, "column": metric, "caption": caption}]


def _best(values: Values, most: int) -> list[str]:
    """The settings, or the best of them by mean where there are more than `most`, in the study's order."""
    if len(values.settings) <= most:
        return values.settings
    metric = main_metric(values)
    series = {name: values.series(name, metric) for name in values.settings}
    means = {name: sum(reached.values()) / len(reached) for name, reached in series.items() if reached}
    ranked = sorted(means, key=means.__getitem__, reverse=not METRICS[metric].lowest)[:most]
    return [name for name in values.settings if name in ranked]


def _draw_from_data(entry: Mapping[str, Any], study: Study, runs: Runs, folder: Path, path: Path) -> None:
    """Draws a figure that takes the data of a run of the folder, if they are at hand."""
    if entry["kind"] == "examples":
        data = None if page.figure_file(path) else _data(folder)  # they are the same in every report of the study
        if data:
            pictures = data.val.inputs.movedim(1, -1).numpy()
            figures.save(figures.examples(pictures, data.val.targets.numpy()), path)
        return
    ways = descent_figures.followed(study, runs, entry["settings"], entry["seed"])
    data = _data(folder, next(iter(ways))) if ways else None
    if data is None:
        return
    surface = descent_figures.Surface(data.train.inputs.numpy(), data.train.targets.numpy())
    if entry["kind"] == "animation":
        descent_figures.save_animation(surface, list(ways.values()), entry["steps"], path.with_suffix(".gif"))
    else:
        draw = descent_figures.fit if entry["kind"] == "fit" else descent_figures.path
        figures.save(draw(surface, list(ways.values())), path)


def _data(folder: Path, run: str | None = None) -> InMemoryDataModule | None:
    """The data of a run, or of the first, in a study's folder; None where the run or its data are not at hand."""
    found = [one for one in run_folders(folder) if run in (None, one.path.name)]
    if not found:
        return None
    # Here and not above, because nothing else in a report needs torch.
    from src.assembly import build_data

    data = build_data(found[0].config())
    try:
        data.setup()
    except UserError as error:
        print(f"A figure is left out: {error}", file=sys.stderr)
        return None
    return data


def _write(made: page.Report, folder: Path) -> None:
    for table in made.tables:
        table.write(folder)
    if made.findings:
        write_text(folder / "verdicts.csv", report_tables.verdict_frame(made.findings).to_csv(index=False))
    write_text(folder / "report.md", page.markdown(made, folder))
    write_text(folder / "index.html", page.html(made))


def _say(made: page.Report, folder: Path) -> None:
    """What a person at a terminal wants to know, and where the rest is."""
    for sentence in made.headline:
        print(sentence)
    for finding in made.findings:
        print(f"{finding.verdict.verdict:15} {finding.claim.place:8} {finding.claim.says} ({page.effect(finding)})")
    if made.advice:
        print("What to do next:")
        for sentence in made.advice:
            print(f"- {sentence}")
    print(f"The report is {folder / 'index.html'}.")


@hydra.main(version_base="1.3", config_path="../conf", config_name="report")
def main(cfg: DictConfig) -> None:
    try:
        if OmegaConf.is_missing(cfg, "study"):
            raise UserError("Name the study to report on: python -m src.report study=decay_mnist")
        made, folder = report(
            str(cfg.study),
            Path(cfg.output_dir),
            Path(cfg.results) if cfg.results else None,
            Path(cfg.report_dir) if cfg.report_dir else None,
        )
        _say(made, folder)
    except (UserError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
