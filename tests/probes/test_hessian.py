"""Eigenvalues from Hessian-vector products, against dense Hessians."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, hessian
from torch.nn import functional as F

from lr_lab.probes.hessian import gradient_and_product, largest_eigenvalue


def network(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "convolution":
        return nn.Sequential(
            *(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.ELU(), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 5))
        )
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 5))


def dense_hessian(net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """All of it, by torch.func: (n, n)."""
    parameters = dict(net.named_parameters())
    sizes = [p.numel() for p in parameters.values()]

    def loss(vector: Tensor) -> Tensor:
        parts = vector.split(sizes)
        named = {k: part.view_as(p) for (k, p), part in zip(parameters.items(), parts, strict=True)}
        return F.cross_entropy(functional_call(net, named, (inputs,)), targets)

    return hessian(loss)(torch.cat([p.detach().reshape(-1) for p in parameters.values()]))


@pytest.mark.parametrize("kind", ["convolution", "dense"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [0, 60])
def test_agrees_with_the_dense_hessian(kind: str, dtype: torch.dtype, steps: int) -> None:
    net = network(kind).eval().to(dtype)
    chance = torch.Generator().manual_seed(1)
    inputs = torch.randn(40, 1, 8, 8, generator=chance).to(dtype)
    targets = torch.randint(5, (40,), generator=chance)
    descent = torch.optim.SGD(net.parameters(), lr=0.3)
    for _ in range(steps):
        descent.zero_grad()
        F.cross_entropy(net(inputs), targets).backward()
        descent.step()
    exact = dense_hessian(net, inputs, targets)
    gradient, product = gradient_and_product(F.cross_entropy(net(inputs), targets), list(net.parameters()))
    direction = torch.randn(len(gradient), generator=chance).to(dtype)
    torch.testing.assert_close(product(direction), exact @ direction, rtol=1e-3, atol=1e-4)
    assert largest_eigenvalue(product, gradient) == pytest.approx(torch.linalg.eigvalsh(exact)[-1].item(), rel=1e-3)


@given(
    eigenvalues=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40),
    seed=st.integers(0, 2**31),
    blind=st.booleans(),
)
@example(eigenvalues=[0.0] * 7, seed=0, blind=False)
@example(eigenvalues=[0.0, -3.0, -5.0, -1.0, -2.0, -3.0, -0.5], seed=0, blind=False)
@settings(deadline=None)
def test_any_spectrum_from_any_start(eigenvalues: list[float], seed: int, blind: bool) -> None:
    chance = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    basis, _ = torch.linalg.qr(torch.randn(size, size, generator=chance, dtype=torch.float64))
    spectrum = torch.tensor(eigenvalues, dtype=torch.float64)
    matrix = basis @ spectrum.diag() @ basis.T
    # A start without any part of the leading eigenvector, or no start at all.
    start = torch.zeros(size, dtype=torch.float64) if blind else basis[:, spectrum.argmin()].clone()
    tolerance = 1e-3 * spectrum.abs().max().item() + 1e-9
    assert largest_eigenvalue(lambda vector: matrix @ vector, start) == pytest.approx(
        max(eigenvalues), rel=1e-3, abs=tolerance
    )


def test_few_products_and_the_same_answer_every_time() -> None:
    """A low rank makes Lanczos break down early, where it could draw random numbers of its own."""
    chance = torch.Generator().manual_seed(0)
    factors = torch.randn(500, 3, generator=chance)
    calls = []

    def product(vector: Tensor) -> Tensor:
        calls.append(1)
        return factors @ (factors.T @ vector)

    values = {largest_eigenvalue(product, factors[:, 0]) for _ in range(5)}
    assert len(values) == 1
    assert len(calls) <= 5 * 20


def test_what_is_not_finite_has_no_eigenvalue() -> None:
    for size in (3, 50):
        nothing = torch.full((size,), float("nan"))
        assert torch.tensor(largest_eigenvalue(lambda vector: vector, nothing)).isnan()
        assert torch.tensor(largest_eigenvalue(lambda vector: vector * float("nan"), torch.ones(size))).isnan()
