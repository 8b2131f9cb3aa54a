"""The figures of a report: drawn into its folder as files, and as its page shows them. `kinds` says which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lr_lab.errors import UserError
from lr_lab.report import figures, interactive
from lr_lab.report.evidence import ShownClaim
from lr_lab.report.interactive import Drawing, Panel
from lr_lab.report.kinds import KINDS
from lr_lab.report.kinds.curves import in_numbers, panel_plots
from lr_lab.report.kinds.kind import Entry, Samples, Shown, Subject
from lr_lab.report.selection import Pick, best
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values

# A reader cannot distinguish more lines than this; the best are shown.
MOST_CURVES = 40


@dataclass(frozen=True)
class Drawn:
    """The figures of a report.

    Attributes:
        entries: the figures, as in the study's file.
        shown: what the page shows, in order.
        drawing: the HTML of what moves on the page.
    """

    entries: Sequence[Entry] = ()
    shown: Sequence[Shown] = ()
    drawing: Drawing = field(default_factory=lambda: Drawing("", {}))


class Illustrations:
    """Draws the figures that a study's file names, and those that suit it unasked.

    Args:
        study, runs, values: what the report is of.
        picks: the best setting of each group, for figures that show those.
        folder: where the files go.
        samples: the data that runs were trained on.
        claims: as the report shows them.

    Raises:
        UserError: a figure is of no known kind, or lacks what its kind needs.
    """

    def __init__(
        self,
        study: Study,
        runs: Runs,
        values: Values,
        picks: Sequence[Pick],
        folder: Path,
        samples: Samples,
        claims: Sequence[ShownClaim] = (),
    ) -> None:
        self._folder = folder
        subject = Subject(study, runs, values, picks, samples, claims)
        for entry in study.figures:
            _check(entry, study)
        self._entries = _entries(subject)
        self._together = [subject.metric, "train_loss" if subject.metric == "val_loss" else "val_loss", "lr"]
        columns = dict.fromkeys(self._together)
        for entry in self._entries:
            columns |= dict.fromkeys(KINDS[entry["kind"]].columns(entry))
        self._of = replace(subject, columns=tuple(columns))

    def draw(self) -> Drawn:
        """Draws all figures, and at the end the curves of all settings."""
        drawn = [KINDS[entry["kind"]](entry, self._of).draw(self._folder / entry["name"]) for entry in self._entries]
        shown = [each for each in (*drawn, self._all_settings()) if each]
        plots = {name: plot for each in shown if isinstance(each, Panel) for name, plot in each.plots.items()}
        return Drawn(self._entries, shown, interactive.draw(plots))

    def _all_settings(self) -> Panel | None:
        sources = self._of.sources
        names = [name for name in best(self._of.values, MOST_CURVES) if name in sources]
        if not names:
            return None
        few = "" if len(names) == len(sources) else f", the best {len(names)} of {len(sources)}"
        columns = ", ".join(figures.COLUMN_LABELS[column] for column in self._together)
        plots = panel_plots(self._of, "all", names, self._together, log=("lr",))
        alt = in_numbers(self._of, names, self._of.metric)
        return Panel(f"All settings{few}: {columns}.", plots, self._of.lines(names), alt)


def _entries(of: Subject) -> list[Entry]:
    """The figures that the study's file names, and of the kinds that it does not name those that suit it."""
    named = {entry["kind"] for entry in of.study.figures}
    found = [kind.suggested(of) for kind in KINDS.values() if kind.name not in named]
    return [*of.study.figures, *(entry for entry in found if entry)]


def _check(entry: Entry, study: Study) -> None:
    if entry["kind"] not in KINDS:
        raise UserError(
            f"Figure {entry['name']} of study {study.name}: kind={entry['kind']} is not known; "
            f"known are {', '.join(KINDS)}."
        )
    needs = KINDS[entry["kind"]].needs
    if missing := [key for key in needs if key not in entry]:
        raise UserError(
            f"Figure {entry['name']} of study {study.name} has no {missing[0]}; "
            f"kind={entry['kind']} needs {', '.join(needs)}."
        )
