"""Options of the benchmarks."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bench-batch", type=int, default=32, help="realisations of the convergence benchmarks")
    parser.addoption("--bench-rounds", type=int, default=7, help="interleaved rounds of every comparison")


@pytest.fixture
def batch(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--bench-batch")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--bench-rounds")
