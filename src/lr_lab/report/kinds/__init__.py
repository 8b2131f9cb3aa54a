"""The kinds of figures. The docstring of each class says what a study's file gives it."""

from __future__ import annotations

from collections.abc import Mapping

from lr_lab.report.kinds.cost import Cost
from lr_lab.report.kinds.curves import Curves, Panels, Seeds
from lr_lab.report.kinds.descent import Animation, Contraction, Fit, Way
from lr_lab.report.kinds.forest import Forest
from lr_lab.report.kinds.heat_map import HeatMap
from lr_lab.report.kinds.kind import Kind
from lr_lab.report.kinds.paired import Paired
from lr_lab.report.kinds.plain import Examples, Sequences
from lr_lab.report.kinds.rate_sweep import RateSweep
from lr_lab.report.kinds.rates_used import RatesUsed

# In the order in which a page shows those that a study gets unasked.
_ALL: tuple[type[Kind], ...] = (
    RateSweep,
    HeatMap,
    Paired,
    Forest,
    Curves,
    Cost,
    RatesUsed,
    Panels,
    Seeds,
    Sequences,
    Examples,
    Fit,
    Way,
    Animation,
    Contraction,
)
KINDS: Mapping[str, type[Kind]] = {kind.name: kind for kind in _ALL}
