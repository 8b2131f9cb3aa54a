"""A study: a named question with its sweeps, settings, figures and claims, in one file conf/studies/<name>.yaml.

Values that all of its runs share stand in conf/experiment/<name>.yaml. A folder of runs without a file is a study too:
`discover` finds its settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lr_lab.checks import check_number, check_whole_number
from lr_lab.errors import UserError
from lr_lab.run.folder import FINISHED
from lr_lab.run.summary import SETTING_KEYS
from lr_lab.study.entries import check_keys, mapping, read_yaml
from lr_lab.study.metrics import METRICS

# Groups of the configuration whose choices need no key in a label.
_SELF_EXPLAINING = ("data", "model", "optimizer", "sequence", "strategy")

# By these the settings of a folder without a file are grouped: column of results -> its word.
_GROUPS = {"data": "dataset", "model": "network"}


@dataclass(frozen=True)
class Setting:
    """A way of training, run with several seeds.

    Attributes:
        name: its name in claims and figures.
        label: its name for a person.
        where: column of results -> value, or list of values, of the runs that belong to it.
        group: the settings that are compared with each other first; "" if there are no groups.
        published: metric -> the document's number.
        seeds: how many it gets at most; None: as many as the study.
        kin: the settings of one such name are expected to scatter alike over seeds; "": those of its group.
    """

    name: str
    label: str
    where: Mapping[str, Any]
    group: str = ""
    published: Mapping[str, float] = field(default_factory=dict)
    seeds: int | None = None
    kin: str = ""


@dataclass(frozen=True)
class Notice:
    """A warning that a reader must see first, where it applies.

    Attributes:
        says: the sentence.
        when: column of results -> value that some run must have.
    """

    says: str
    when: Mapping[str, Any]

    def applies(self, results: pd.DataFrame) -> bool:
        return all(column in results and (results[column] == value).any() for column, value in self.when.items())


@dataclass(frozen=True)
class Condition:
    """An override that depends on the machine: `then` where the condition of that name holds, `otherwise` elsewhere."""

    condition: str
    then: str
    otherwise: str


@dataclass(frozen=True)
class Study:
    """A study: everything that a report needs beyond the runs themselves.

    Attributes:
        source: the document, for a study that follows one.
        table: the document's name of its table of results.
        sweeps: the runs of each seed, as typed after `python -m src.train -m`.
        machine: overrides of every sweep that depend on the machine.
        first_seed: seeds count up from it.
        looks: numbers of seeds after which claims are judged; none: once, on all seeds there are.
        budget: the most that it may cost: `seeds`, `hours`, or both.
        claims: name -> place, says, test and its arguments; see claims.py.
        answers: name of the claim or metric that answers the question, or several; none: the best setting does.
        where: values that all runs of the study share, part of every setting's `where`.
        settings: in the order of the tables.
        benchmark: the setting whose final accuracy the others are timed to.
        metrics: the columns of its table, first what settings are judged by; none: the final accuracy, or loss, and
            convergence.
        by_dataset: settings of different datasets are not ranked against each other.
        grouped_by: a word for the groups.
        exploration: groups that the tables show and nothing else judges.
        matters: metric -> the difference below which two settings count as alike for every practical purpose.
        tolerance: of convergence, a fraction of accuracy; None keeps what the runs say themselves.
        figures: each a mapping with `name`, `kind`, `caption` and what the kind takes (see report/kinds).
        notices: head the report of runs that they apply to.
        choices: decisions that the document leaves open, as mappings of the same kind.
        unknown: sentences on what the study cannot tell.
        reads: the studies whose results this one judges together; it has no runs of its own.
        training: the content of conf/experiment/<name>.yaml.
    """

    name: str
    title: str
    question: str = ""
    source: str = ""
    table: str = "results"
    sweeps: Sequence[str] = ()
    machine: Sequence[Condition] = ()
    first_seed: int = 0
    looks: Sequence[int] = ()
    budget: Mapping[str, float] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    answers: str | Sequence[str] = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    settings: Sequence[Setting] = ()
    benchmark: str | None = None
    metrics: Sequence[str] = ()
    by_dataset: bool = False
    grouped_by: str = "strategy"
    exploration: Sequence[str] = ()
    matters: Mapping[str, float] = field(default_factory=dict)
    tolerance: float | None = None
    figures: Sequence[Mapping[str, Any]] = ()
    notices: Sequence[Notice] = ()
    choices: Sequence[Mapping[str, Any]] = ()
    unknown: Sequence[str] = ()
    reads: Sequence[str] = ()
    training: Mapping[str, Any] = field(default_factory=dict)

    def setting(self, name: str) -> Setting:
        return next(setting for setting in self.settings if setting.name == name)

    @property
    def groups(self) -> dict[str, list[Setting]]:
        """The settings by group, in order."""
        groups: dict[str, list[Setting]] = {}
        for setting in self.settings:
            groups.setdefault(setting.group, []).append(setting)
        return groups

    @property
    def contests(self) -> list[Study]:
        """The parts of the study whose settings are ranked against each other."""
        if not self.by_dataset:
            return [self]
        parts: dict[str, list[Setting]] = {}
        for setting in self.settings:
            parts.setdefault(str(setting.where["data"]), []).append(setting)
        return [replace(self, settings=settings) for settings in parts.values()]

    @property
    def kin(self) -> list[list[str]]:
        """The names of settings that are expected to scatter alike."""
        alike: dict[tuple[str, str], list[str]] = {}
        for setting in self.settings:
            alike.setdefault((setting.group, setting.kin), []).append(setting.name)
        return list(alike.values())

    @property
    def most_seeds(self) -> dict[str, int]:
        """Setting -> the most seeds that it gets, for settings that a sweep limits."""
        return {setting.name: setting.seeds for setting in self.settings if setting.seeds is not None}

    @property
    def without_exploration(self) -> Study:
        """The study of the settings that are judged."""
        return replace(self, settings=[setting for setting in self.settings if setting.group not in self.exploration])

    @property
    def benchmarks(self) -> list[Setting]:
        """The benchmark that the others are compared with: named with its group, or alone if all are one group."""
        if self.benchmark is None:
            return []
        benchmark = self.setting(self.benchmark)
        return self.groups[benchmark.group] if len(self.groups) > 1 else [benchmark]

    @property
    def compared_groups(self) -> dict[str, list[Setting]]:
        """The groups whose settings rival each other: all but the benchmarks."""
        benchmarks = self.benchmarks
        rivals = [setting for setting in self.settings if setting not in benchmarks]
        return replace(self, settings=rivals).groups


def read_study(conf: Path, name: str) -> Study | None:
    """The study of that name in the configuration folder; None if nobody wrote one.

    Raises:
        UserError: the file is malformed; the sentence names the entry.
    """
    file = conf / "studies" / f"{name}.yaml"
    if not file.exists():
        return None
    content = dict(mapping(str(file), read_yaml(file)))
    check_keys(str(file), content, Study, {"name", "training", "tolerance", "by_dataset"})
    settings = []
    for key, entry in mapping(f"{file}, settings", content.pop("settings", None)).items():
        place = f"{file}, setting {key}"
        check_keys(place, entry, Setting, {"name"})
        setting = Setting(name=key, **entry)
        common = mapping(f"{file}, where", content.get("where"))
        settings.append(replace(setting, where={**common, **mapping(f"{place}, where", setting.where)}))
    machine = [_condition(f"{file}, machine {n}", e) for n, e in enumerate(content.pop("machine", None) or [], start=1)]
    notices = []
    for number, entry in enumerate(content.pop("notices", None) or [], start=1):
        check_keys(f"{file}, notice {number}", entry, Notice, set())
        notices.append(Notice(**entry))
    for number, entry in enumerate(content.get("figures") or [], start=1):
        if missing := [key for key in ("name", "kind", "caption") if key not in mapping(str(file), entry)]:
            raise UserError(f"{file}, figure {number} has no {missing[0]}; a figure needs name, kind and caption.")
    experiment = conf / "experiment" / f"{name}.yaml"
    training = read_yaml(experiment) if experiment.exists() else {}
    tolerance = training.get("analysis", {}).get("convergence_tolerance")
    content |= {"settings": settings, "machine": machine, "notices": notices}
    study = Study(name=name, training=training, tolerance=tolerance, **content)
    _check_numbers(str(file), study)
    if study.benchmark not in {None, *(setting.name for setting in settings)}:
        raise UserError(f"{file}: benchmark={study.benchmark} is not one of its settings; name one of them.")
    answers = [study.answers] if isinstance(study.answers, str) else study.answers
    if study.answers and (unknown := [name for name in answers if name not in study.claims and name not in METRICS]):
        raise UserError(f"{file}: answers={unknown[0]} is neither one of its claims nor a metric; name one of them.")
    return study


def _condition(place: str, entry: Any) -> Condition:
    if {*mapping(place, entry)} != {"if", "then", "else"}:
        raise UserError(f"{place} has {', '.join(map(str, entry)) or 'nothing'}; give if, then and else.")
    return Condition(str(entry["if"]), str(entry["then"]), str(entry["else"]))


def _check_numbers(file: str, study: Study) -> None:
    check_whole_number(f"{file}: first_seed", study.first_seed, 0)
    for setting in study.settings:
        if setting.seeds is not None:
            check_whole_number(f"{file}, setting {setting.name}: seeds", setting.seeds, 1)
    for sweep in study.sweeps:
        if not isinstance(sweep, str):
            raise UserError(f"{file}: sweep {sweep} is not allowed; write it as typed on a command line, in quotes.")
    for count in study.looks:
        check_whole_number(f"{file}: look", count, 1)
    if list(study.looks) != sorted({*study.looks}):
        raise UserError(f"{file}: looks={list(study.looks)} is not in order; give each once, the fewest seeds first.")
    if unknown := sorted(set(mapping(f"{file}, budget", study.budget)) - {"seeds", "hours"}):
        raise UserError(f"{file}, budget has {', '.join(unknown)}; allowed are seeds and hours.")
    for key, value in [*mapping(f"{file}, matters", study.matters).items(), *study.budget.items()]:
        check_number(f"{file}: {key}", value, "a number above 0", lambda x: x > 0)


def discover(name: str, results: pd.DataFrame) -> Study:
    """The study of a folder of runs that no file describes: a setting for each combination of what varies.

    Settings are grouped by dataset and network, where these vary.
    """
    keys: list[str] = []
    # Other columns that vary repeat the same difference, such as Adam's lack of a momentum.
    for key in [*(key for key in SETTING_KEYS if key != "seed"), *config_columns(results)]:
        if key in results and _combinations(results, [*keys, key]) > _combinations(results, keys):
            keys.append(key)
    rows = results[keys].drop_duplicates().sort_values(keys) if keys else pd.DataFrame(index=[0])
    settings = []
    for row in rows.to_dict("records"):
        words = {str(key): _word(str(key), value) for key, value in row.items()}
        where = {str(key): value for key, value in row.items()}
        group = ", ".join(words[key] for key in words if key in _GROUPS)
        label = " ".join(words[key] for key in words if key not in _GROUPS) or "all runs"
        settings.append(Setting(name=" ".join(words.values()) or label, label=label, where=where, group=group))
    return Study(
        name=name,
        title=name,
        settings=settings,
        question="Which of these settings is best?",
        by_dataset="data" in keys,
        grouped_by=" and ".join(_GROUPS[key] for key in keys if key in _GROUPS) or "strategy",
    )


def config_columns(results: pd.DataFrame) -> list[str]:
    """Columns of results that come from the configuration, such as `strategy.baseline`; probes' have a slash."""
    return [column for column in results if "." in str(column) and "/" not in str(column)]


def _combinations(results: pd.DataFrame, keys: list[str]) -> int:
    return len(results[keys].drop_duplicates()) if keys else 1


def _word(key: str, value: Any) -> str:
    if key in _SELF_EXPLAINING:
        return str(value)
    text = "null" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{key.rpartition('.')[2]}={text}"


def assign(results: pd.DataFrame, settings: Sequence[Setting]) -> pd.Series:
    """The name of each run's setting, by the index of `results`; missing for a run that belongs to none.

    Raises:
        UserError: results lack a column that settings are told by, two finished runs of a setting have one seed, or
            runs of a setting differ in a choice that the study leaves open.
    """
    names = pd.Series(pd.NA, index=results.index, dtype="object", name="setting")
    for setting in settings:
        chosen = pd.Series(True, index=results.index)
        for column, value in setting.where.items():
            if column not in results:
                raise UserError(
                    f"The results have no column {column}, by which setting {setting.name} is told; "
                    f"give a table as results.csv of the study's report is (outputs/reports/<study>)."
                )
            values = value if isinstance(value, list) else [value]
            chosen &= results[column].isin(values) | (results[column].isna() & any(pd.isna(v) for v in values))
        names[chosen] = setting.name
    finished = results.assign(setting=names)[results["status"].isin(FINISHED)].dropna(subset="setting")
    twice = finished[finished.duplicated(["setting", "seed"], keep=False)]
    if len(twice):
        first = twice.iloc[0]
        same = twice[(twice["setting"] == first["setting"]) & (twice["seed"] == first["seed"])]
        raise UserError(
            f"{len(same)} runs are seed {first['seed']} of setting {first['setting']} "
            f"({', '.join(map(str, same['run'][:3]))}); they differ in something that the study does not tell apart: "
            "move all but one elsewhere."
        )
    for setting in settings:
        _check_alike(setting, finished[finished["setting"] == setting.name])
    return names


def _check_alike(setting: Setting, runs: pd.DataFrame) -> None:
    """Raises UserError where runs of one setting are not alike but for the seed: their mean would say nothing."""
    keys = [key for key in SETTING_KEYS if key != "seed" and key in runs] + config_columns(runs)
    for key in (key for key in keys if key not in setting.where):
        counts = runs[key].value_counts(dropna=False)
        if len(counts) > 1:
            few = runs[runs[key].isin([counts.index[-1]])]
            raise UserError(
                f"Runs of setting {setting.name} have {key}={', '.join(str(value) for value in counts.index)}, and the "
                f"study does not tell them apart: move those with {key}={counts.index[-1]} elsewhere "
                f"({', '.join(map(str, few['run'][:3]))}), or name {key} in the setting's `where`."
            )
