"""The server of processes imports this module to load the classes that the runs of a sweep name.

A module with an error in it would end the server. This module skips it, and the run that needs it says what is wrong.
"""

import contextlib
import importlib
import os

from lr_lab.run.source import code_of

TARGETS = "LR_LAB_PRELOAD"

for _target in os.environ.get(TARGETS, "").split():
    _module, _, _name = _target.rpartition(".")
    with contextlib.suppress(Exception):
        getattr(importlib.import_module(_module), _name)  # a package of ours loads a part when its name is read
        code_of(_target)  # now, since somebody may edit it before the last run starts
