"""scikit-learn's digits: real and embedded in the library, so nothing is downloaded."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.data.split import Split


class Digits(InMemoryDataModule):
    """1,797 grey handwritten digits of 10 classes, 8x8, scaled to 28x28; a stratified fifth to validate on.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (its test part).
    """

    input_shape = (1, 28, 28)
    classes = 10

    def __init__(
        self,
        batch_size: int,
        seed: int,
        val_fraction: float | None = None,
        split_seed: int = 0,
        limit: int | None = None,
        scaling: str = "standardised",
        block_size: int | None = None,
    ) -> None:
        super().__init__(
            batch_size,
            seed,
            val_fraction=val_fraction,
            split_seed=split_seed,
            limit=limit,
            scaling=scaling,
            block_size=block_size,
        )

    def read(self) -> tuple[Split, None]:
        digits = load_digits()
        small = torch.from_numpy(digits.images).float().unsqueeze(1)  # (N, 1, 8, 8), 0 to 16
        large = F.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
        pixels = (large * (255 / 16)).round().to(torch.uint8)
        return Split.of_images(pixels.permute(0, 2, 3, 1), torch.from_numpy(digits.target).long()), None
