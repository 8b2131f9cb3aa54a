"""The explanation of one curve, and the best of several curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lr_lab.curves.advice import Advice, advise
from lr_lab.curves.curve import SERIES, Curve
from lr_lab.curves.diagnosis import Diagnosis, diagnose
from lr_lab.curves.findings import Finding, findings
from lr_lab.curves.shape import Shape
from lr_lab.curves.thresholds import Thresholds


@dataclass(frozen=True)
class Explanation:
    """A curve with its diagnosis, findings and advice."""

    curve: Curve
    diagnosis: Diagnosis
    findings: list[Finding]
    advice: list[Advice]

    def as_json(self) -> dict[str, Any]:
        """Plain values; series as lists, None where the log has no value, NaN and infinity as strings."""
        curve = self.curve
        return {
            "name": curve.name,
            "unit": curve.unit,
            "points": len(curve),
            "classes": curve.classes,
            "read": dict(curve.read),
            "notes": list(curve.notes),
            "diagnosis": asdict(self.diagnosis),
            "findings": [asdict(finding) for finding in self.findings],
            "advice": [asdict(one) for one in self.advice],
            "at": list(curve.at),
            **{name: [_plain(value) for value in getattr(curve, name)] for name in SERIES if curve.has(name)},
        }


def _plain(value: float | None) -> float | str | None:
    return value if value is None or abs(value) < float("inf") else str(value)


def explain(curve: Curve, thresholds: Thresholds | None = None) -> Explanation:
    """Explains a curve: a diagnosis, and advice what to try next."""
    thresholds = thresholds or Thresholds()
    diagnosis = diagnose(curve, thresholds)
    shape = Shape.of(curve)
    found = findings(shape, diagnosis, thresholds)
    return Explanation(curve, diagnosis, found, advise(shape, diagnosis, found))


def best(explained: Sequence[Explanation]) -> tuple[int, str] | None:
    """The best of several curves and the measure: validation accuracy if all have it, else loss of the same kind.

    None for a single run, and if nothing can be compared.
    """
    if len(explained) < 2:
        return None
    for name, words in (
        ("val_accuracy", "validation accuracy"),
        ("val_loss", "validation loss"),
        ("train_loss", "training loss"),
    ):
        tops = [one.curve.best(name) for one in explained]
        if all(tops):
            values = [top[1] for top in tops if top]
            chosen = values.index(max(values) if name == "val_accuracy" else min(values))
            value = f"{values[chosen]:.2%}" if name == "val_accuracy" else f"{values[chosen]:.4g}"
            top = tops[chosen]
            return chosen, f"{words} {value} after {explained[chosen].curve.unit} {top[0] if top else 0:g}"
    return None
