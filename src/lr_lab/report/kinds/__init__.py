"""The kinds of figures. The docstring of each class says what a study's file gives it."""

from __future__ import annotations

from collections.abc import Mapping

from lr_lab.report.kinds.curves import Curves, Panels, Seeds
from lr_lab.report.kinds.descent import Animation, Contraction, Fit, Way
from lr_lab.report.kinds.kind import Kind
from lr_lab.report.kinds.plain import Examples, Sequences

# In the order in which a page shows those that a study gets unasked.
KINDS: Mapping[str, type[Kind]] = {
    kind.name: kind for kind in (Sequences, Curves, Panels, Seeds, Examples, Fit, Way, Animation, Contraction)
}
