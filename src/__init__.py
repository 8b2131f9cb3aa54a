"""lr-lab: what does the learning rate do to the training of a CNN?"""

import sys
from importlib.metadata import version
from types import ModuleType

# The package index carries torchvision for CUDA only. Beside a CPU build of torch its compiled operators cannot load,
# and declaring their shapes fails at import ("operator torchvision::nms does not exist", pytorch/vision #9085).
# Nothing here detects objects, so in that one case the declarations are left out; all the rest of torchvision works.
if version("torch").endswith("+cpu") and not version("torchvision").endswith("+cpu"):
    sys.modules.setdefault("torchvision._meta_registrations", ModuleType("torchvision._meta_registrations"))
