"""What all tests share: one thread for torch. The model in the box is too small for two, which only wait for each other
(on busy cores 15 times as long), and pytest's workers are the parallelism. Set before torch is imported, and handed
down to the processes that tests start."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session", autouse=True)
def kernels():
    """Loads the kernels before any test points the cache elsewhere: compiling them anew takes a minute."""
    from bridle.automata.kernel import load_kernels

    load_kernels(everything=True)
