"""The programs of lr-lab. They use the library of this checkout, whatever is installed in the environment."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
