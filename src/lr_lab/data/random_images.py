"""Images of noise: for measuring speed, which does not depend on what the images show."""

import torch

from lr_lab.checks import check_whole_number
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.data.split import Split


class RandomImages(InMemoryDataModule):
    """`samples` training images and a sixth as many to validate on, (channels, size, size), labels at random.

    There is nothing to learn in them; every seed sees the same.
    """

    def __init__(
        self,
        batch_size: int,
        seed: int,
        samples: int = 6000,
        channels: int = 1,
        size: int = 28,
        classes: int = 10,
        block_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, block_size=block_size)
        for name, value, least in (("samples", samples, 6), ("channels", channels, 1), ("size", size, 1)):
            check_whole_number(f"data.{name}", value, least)
        check_whole_number("data.classes", classes, 2)
        self.samples = samples
        self.input_shape = (channels, size, size)
        self.classes = classes

    def read(self) -> tuple[Split, Split]:
        chance = torch.Generator().manual_seed(0)
        channels, size, _ = self.input_shape

        def split(samples: int) -> Split:
            pixels = torch.randint(256, (samples, size, size, channels), dtype=torch.uint8, generator=chance)
            return Split.of_images(pixels, torch.randint(self.classes or 1, (samples,), generator=chance))

        return split(self.samples), split(self.samples // 6)
