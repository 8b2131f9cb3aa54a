"""One study: run folders -> tables, figures, verdicts, one web page. `python -m src.report --help` says how."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from src.analysis import aggregate, figures, interactive, page, report_tables
from src.analysis.advice import advise, headline
from src.analysis.aggregate import Runs, Values
from src.analysis.claims import Claim, judge, read_claims
from src.analysis.report_tables import Pick
from src.analysis.study import Setting, Study, discover, read_study
from src.config import CONFIG_DIR
from src.errors import UserError
from src.run_folder import run_folders, write_text

# More lines than this cannot be told apart; the best are shown.
MOST_CURVES = 40
MOST_CURVES_IN_A_FIGURE = 12

UNKNOWN = (
    "Validation sets are finite: intervals are over seeds, for this validation set, and say nothing about other data.",
)


def report(
    study_name: str, output_dir: Path, results: Path | None = None, report_dir: Path | None = None
) -> tuple[page.Report, Path]:
    """Writes the report of a study and returns it with its folder.

    The runs come from `<output_dir>/<study>`; where that is missing, from what an earlier report kept; or from the table
    `results` alone.

    Raises:
        UserError: there is nothing to report on, or a file is not as it must be; the sentence says what to do.
    """
    folder = report_dir or output_dir / "reports" / (f"{study_name}_from_table" if results else study_name)
    study = read_study(CONFIG_DIR, study_name)
    if study and study.reads:
        if results:
            raise UserError(f"{study_name} reads {' and '.join(study.reads)}; it cannot be judged from one table.")
        study, runs = _combined(study, output_dir)
    else:
        runs = _read(study_name, study, output_dir, results)
        study = study or discover(study_name, runs.finished)
        aggregate.write_runs(runs, folder)
        runs = aggregate.judged(runs, study)
    if runs.finished.empty:
        raise UserError(
            f"No finished run of study {study_name} belongs to one of its settings; let its sweep finish, then report."
        )
    made = _assemble(study, runs, folder, read_claims(CONFIG_DIR / "claims" / f"{study_name}.yaml"), output_dir)
    _write(made, folder)
    return made, folder


def _read(name: str, study: Study | None, output_dir: Path, results: Path | None) -> Runs:
    if results:
        return aggregate.read_table(results)
    if run_folders(output_dir / name):
        return aggregate.read_runs(output_dir / name, study.tolerance if study else None)
    kept = output_dir / "reports" / name
    if (kept / "results.csv").exists():
        return aggregate.read_report(kept)
    found = sorted(path.parent.parent.name for path in output_dir.glob("*/*/config.yaml"))
    hint = f"; {output_dir} has {', '.join(dict.fromkeys(found))}." if found else "."
    raise UserError(
        f"study={name} has no runs in {output_dir / name} and no report in {kept}; train it first, "
        f"for example `python -m src.train -m study={name} lr=0.1,0.01`, or name another{hint}"
    )


def _combined(study: Study, output_dir: Path) -> tuple[Study, Runs]:
    """The studies that this one reads as one: settings and runs carry the name of theirs."""
    settings: list[Setting] = []
    results, histories = [], []
    for name in study.reads:
        part = read_study(CONFIG_DIR, name)
        if part is None:
            raise UserError(f"{study.name} reads {name}, but there is no conf/studies/{name}.yaml.")
        runs = aggregate.judged(_read(name, part, output_dir, None), part)
        settings += [replace(s, name=f"{name}/{s.name}", group=f"{name}: {s.group}") for s in part.settings]
        results.append(
            runs.results.assign(setting=f"{name}/" + runs.results["setting"], run=f"{name}/" + runs.results["run"])
        )
        if runs.histories is not None:
            histories.append(runs.histories.assign(run=f"{name}/" + runs.histories["run"]))
    return (
        replace(study, settings=settings),
        Runs(pd.concat(results, ignore_index=True), pd.concat(histories) if histories else None),
    )


def _assemble(study: Study, runs: Runs, folder: Path, claims: Sequence[Claim], output_dir: Path) -> page.Report:
    values = Values(runs.results, [setting.name for setting in study.settings], f"The table of {study.name}")
    picks = [] if study.reads else report_tables.pick(study, values)
    tables = [report_tables.comparison(study, values, runs)]
    if picks:
        tables.append(report_tables.selection(study, picks))
        second = report_tables.against_benchmarks(study, values, picks)
        tables += [second] if second else []
    pictures, panels, drawing = [], [], interactive.Drawing("", {})
    if not study.reads:
        pictures = _pictures(study, runs, values, picks, folder / "figures", output_dir)
    if runs.histories is not None and not study.reads:
        panels, drawing = _panels(study, runs, values, picks)
    return page.Report(
        study=study,
        headline=[] if study.reads else headline(study, values, values.settings),
        tables=tables,
        findings=judge(claims, values, Values.published(study)),
        advice=[] if study.reads else advise(study, values, runs),
        facts=page.facts(study, runs),
        unknown=study.unknown or UNKNOWN,
        pictures=pictures,
        panels=panels,
        drawing=drawing,
    )


def _best(values: Values, most: int) -> list[str]:
    """The settings, or the best of them by mean where there are more than `most`, in the study's order."""
    if len(values.settings) <= most:
        return values.settings
    metric = report_tables.main_metric(values)
    means = {
        name: np.mean(list(series.values())) for name in values.settings if (series := values.series(name, metric))
    }
    ranked = sorted(means, key=means.__getitem__, reverse=not aggregate.METRICS[metric].lowest)[:most]
    return [name for name in values.settings if name in ranked]


def _figures(study: Study, values: Values) -> Sequence[Mapping[str, Any]]:
    """The study's figures; for a study without a file its curves."""
    if study.figures:
        return study.figures
    names = _best(values, MOST_CURVES_IN_A_FIGURE)
    few = "" if len(names) == len(values.settings) else f", the best {len(names)} of {len(values.settings)} settings"
    metric = report_tables.main_metric(values)
    return [
        {
            "name": "curves",
            "kind": "curves",
            "settings": names,
            "column": metric,
            "caption": f"{figures.COLUMN_LABELS[metric].capitalize()}{few}; on the right a closer look at the last quarter.",
        }
    ]


def _pictures(
    study: Study, runs: Runs, values: Values, picks: Sequence[Pick], folder: Path, output_dir: Path
) -> list[page.Picture]:
    """Draws all figures into the folder; returns those that the page shows as pictures, because they do not move."""
    pictures = []
    for entry in _figures(study, values):
        path = folder / entry["name"]
        if entry["kind"] == "sequences":
            figures.save(figures.sequences(entry["lr"], entry["length"]), path)
            pictures.append(page.Picture(entry["caption"], path.with_suffix(".svg")))
        elif entry["kind"] == "curves":
            if runs.histories is not None:
                names = figures.chosen_settings(entry, study, values, picks)
                column = entry.get("column", "val_accuracy")
                limits = figures.shared_limits(study, runs, column) if study.figures else None
                figures.save(figures.curves(study, runs, names, column, entry.get("epochs"), limits), path)
        elif entry["kind"] == "examples":
            drawn = _examples(output_dir / study.name)
            if drawn is not None:
                figures.save(drawn, path)
            if path.with_suffix(".png").exists():
                pictures.append(page.Picture(entry["caption"], path.with_suffix(".png")))
        else:
            raise UserError(
                f"Figure {entry['name']} of study {study.name}: kind={entry['kind']} is not known; "
                "known are sequences, curves, examples."
            )
    return pictures


def _examples(runs: Path) -> Any:
    """Pictures of the validation set of a study's first run; None where the runs or the data are not at hand."""
    folders = run_folders(runs)
    if not folders:
        return None
    # Here and not above, because nothing else in a report needs torch.
    from src.assembly import build_data

    data = build_data(folders[0].config())
    try:
        data.setup()
    except UserError as error:
        print(f"No example pictures: {error}", file=sys.stderr)
        return None
    return figures.examples(data.val.inputs.movedim(1, -1).numpy(), data.val.targets.numpy())


def _panels(
    study: Study, runs: Runs, values: Values, picks: Sequence[Pick]
) -> tuple[list[interactive.Panel], interactive.Drawing]:
    """The curves of the page: the figures of the study that are curves, then all settings together."""
    shown = _best(values, MOST_CURVES)
    metric = report_tables.main_metric(values)
    entries = [entry for entry in _figures(study, values) if entry["kind"] == "curves"]
    everything = [metric, *(["val_loss"] if metric != "val_loss" else ["train_loss"]), "lr"]
    columns = list(dict.fromkeys([*everything, *(entry.get("column", "val_accuracy") for entry in entries)]))
    look = figures.styles(study)
    sources = {name: interactive.source(runs, name, columns) for name in values.settings if values.run_count(name)}
    panels, plots = [], []
    for entry in entries if study.figures else []:
        names = [n for n in figures.chosen_settings(entry, study, values, picks) if n in sources]
        chosen = {name: sources[name] for name in names}
        caption = figures.labels(study, names)
        column = entry.get("column", "val_accuracy")
        last = max((data.data["epoch"][-1] for data in chosen.values()), default=1)
        parts = [
            interactive.plot(
                entry["name"],
                chosen,
                caption,
                look,
                column,
                (1, min(last, entry.get("epochs", last))),
                figures.shared_limits(study, runs, column),
            )
        ]
        if "epochs" not in entry:
            parts.append(
                interactive.plot(
                    f"{entry['name']}_closer",
                    chosen,
                    caption,
                    look,
                    column,
                    (0.75 * last, last),
                    figures.closer_limits(runs, names, column),
                )
            )
        plots += parts
        panels.append(
            interactive.Panel(entry["caption"], [p.name for p in parts], [(caption[n], look[n]) for n in names])
        )
    together = {name: sources[name] for name in shown if name in sources}
    caption = figures.labels(study, list(together))
    parts = [interactive.plot(f"all_{column}", together, caption, look, column) for column in everything]
    few = "" if len(together) == len(sources) else f"; the best {len(together)} of {len(sources)}"
    title = f"All settings{few}: {', '.join(figures.COLUMN_LABELS.get(c, c) for c in everything)} by epoch."
    panels.append(interactive.Panel(title, [p.name for p in parts], [(caption[n], look[n]) for n in together]))
    return panels, interactive.draw([*plots, *parts])


def _write(made: page.Report, folder: Path) -> None:
    for table in made.tables:
        table.write(folder)
    if made.findings:
        write_text(folder / "verdicts.csv", report_tables.verdict_frame(made.findings).to_csv(index=False))
    drawn = [
        (e["name"], e["caption"]) for e in made.study.figures if (folder / "figures" / f"{e['name']}.png").exists()
    ]
    write_text(folder / "report.md", page.markdown(made, drawn))
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
