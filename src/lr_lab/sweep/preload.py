"""Imported by the server of processes, to import what the runs of a sweep name.

The server itself would end with a module that has an error in it. Here it is passed over, and the run that needs it
says what is wrong.
"""

import contextlib
import importlib
import os

OTHERS = "LR_LAB_PRELOAD"

for _name in os.environ.get(OTHERS, "").split():
    with contextlib.suppress(Exception):
        importlib.import_module(_name)
