"""lr-lab: what does the learning rate do to the training of a network?"""

import sys
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType


def _is_mixed_build() -> bool:
    """Whether torch is a CPU build while torchvision, which the package index offers for CUDA only, is not."""
    try:
        return version("torch").endswith("+cpu") and not version("torchvision").endswith("+cpu")
    except PackageNotFoundError:
        return False


# The compiled operators of such a torchvision cannot load, so its import fails when it declares their shapes ("operator
# torchvision::nms does not exist", pytorch/vision #9085), and so does the import of Lightning, whose metrics import
# torchvision. Nothing here detects objects: an empty module in place of the declarations lets the rest of it work.
if _is_mixed_build():
    sys.modules.setdefault("torchvision._meta_registrations", ModuleType("torchvision._meta_registrations"))
