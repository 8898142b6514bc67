"""The kernels' cache on disk: it survives processes, a read-only installation, damage and a changed callee."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = '''
import json, sys
import numpy as np
from bridle.automata import kernel as k

{device}

@k.kernel("int64(int32[::1], int64)")
def total(values, n):
    out = 0
    for i in range(n):
        out += weight(values[i])
    return out

@k.kernel("int64(int64[::1], int64)")
def through_views(record, n):
    """record[0:3]: addresses of an int32[n], an int64[n], a uint8[n]; writes the second from the others."""
    a, b, c = k.i32_at(record[0], n), k.i64_at(record[1], n), k.u8_at(record[2], n)
    out = 0
    for i in range(n):
        b[i] = a[i] * 1000 + c[i]
        k.fence()
        out += b[i]
    return out

@k.kernel("int64(Array(int32, 1, 'C', True))", "int64(Array(int64, 1, 'C', True))")
def first(values):
    return values[0] + total(np.ones(3, np.int32), 3)
'''
DEVICE = "@k.device\ndef weight(x):\n    return x * {factor}\n"
MAIN = """
if __name__ == "__main__":
    seen = []
    k.compile_all(lambda done, total_, name, cached: seen.append((done, total_, name, cached)))
    k.compile_all(lambda *_: seen.append("again"))
    a, b, c = np.array([1, 2, -3], np.int32), np.zeros(3, np.int64), np.array([7, 255, 0], np.uint8)
    record = np.array([a.ctypes.data, b.ctypes.data, c.ctypes.data], np.int64)
    views = [int(through_views(record, 3)), b.tolist(), int(through_views(record, 0))]
    fixed = np.array([5], np.int64)
    fixed.flags.writeable = False
    late = "accepted"
    try:
        total(np.zeros(2, np.float32), 2)
    except TypeError:
        late = "TypeError"
    print(json.dumps([seen, int(total(a, 3)), views, int(first(fixed)), late]))
"""


def run_probe(folder: Path, cache: Path, *, factor: int = 2, split: bool = False, **environment: str) -> list:
    folder.mkdir(exist_ok=True)
    device = DEVICE.format(factor=factor)
    if split:
        (folder / "inner.py").write_text("from bridle.automata import kernel as k\n" + device)
        device = "from inner import weight"
    (folder / "probe_kernels.py").write_text(PROBE.replace("{device}", device) + MAIN)
    process = start(folder, cache, environment)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out)


def start(folder: Path, cache: Path, environment: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(folder / "probe_kernels.py")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "0", "BRIDLE_CACHE_DIR": str(cache), **environment},
    )  # fmt: skip


def cached(answer: list) -> list[bool]:
    return [entry[3] for entry in answer[0]]


VIEWS = [262, [1007, 2255, -3000], 0]


def test_a_second_process_loads_every_kernel_from_the_cache(tmp_path: Path) -> None:
    first = run_probe(tmp_path / "code", tmp_path / "cache")
    second = run_probe(tmp_path / "code", tmp_path / "cache")
    assert cached(first) == [False, False, False]
    assert cached(second) == [True, True, True]
    assert first[1:] == second[1:] == [0, VIEWS, 11, "TypeError"]
    assert [entry[:3] for entry in second[0]] == [
        [1, 3, "__main__.total"], [2, 3, "__main__.through_views"], [3, 3, "__main__.first"],
    ]  # fmt: skip

    # A damaged entry, and one cut short, are compiled again.
    entries = sorted((tmp_path / "cache").rglob("*.nbc"))
    assert len(entries) == 4  # one per signature
    entries[0].write_bytes(b"")
    entries[1].write_bytes(entries[1].read_bytes()[:-1])
    third = run_probe(tmp_path / "code", tmp_path / "cache")
    assert not all(cached(third)) and third[1:] == first[1:]

    # An edit of the file leaves no stale code.
    fourth = run_probe(tmp_path / "code", tmp_path / "cache", factor=3)
    assert fourth[3] == 14


def test_two_processes_that_fill_the_cache_at_once_both_succeed(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "probe_kernels.py").write_text(PROBE.replace("{device}", DEVICE.format(factor=2)) + MAIN)
    both = [start(folder, tmp_path / "cache", {}) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert json.loads(out)[1:] == [0, VIEWS, 11, "TypeError"]
    assert not list((tmp_path / "cache").rglob("*.part"))
    assert all(cached(run_probe(folder, tmp_path / "cache")))


def test_without_jit_kernels_and_views_are_plain_python(tmp_path: Path) -> None:
    answer = run_probe(tmp_path / "code", tmp_path / "cache", NUMBA_DISABLE_JIT="1")
    assert answer == [[], 0, VIEWS, 11, "accepted"]
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    """An installation of its own: bridle.automata with kernel.py and two kernel files, a callee in the one, a caller in
    the other."""
    import bridle.automata

    package = tmp_path / "site" / "bridle"
    (package / "automata").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "automata" / "__init__.py").write_text("")
    for name in ("kernel.py", "cache_dir.py"):
        shutil.copy(Path(bridle.automata.__path__[0]) / name, package / "automata")
    callee = "from .kernel import device\n" + DEVICE.format(factor=2).replace("k.", "")
    (package / "automata" / "a_kernels.py").write_text(callee)
    caller = "from .kernel import kernel\nfrom .a_kernels import weight\n"
    caller += '@kernel("int64(int64)")\ndef weigh(x):\n    return weight(x)\n'
    (package / "automata" / "b_kernels.py").write_text(caller)
    return package


def weigh(package: Path, cache: str) -> list:
    code = (
        "from bridle.automata import b_kernels, kernel; seen = []; kernel.compile_all(lambda *a: seen.append(a[3]))\n"
        "import json; print(json.dumps([seen, b_kernels.weigh(5), kernel.__file__]))"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0", "BRIDLE_CACHE_DIR": cache, "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"PYTHONPATH": str(package.parent), "TMPDIR": str(package.parent.parent)}
    command = [sys.executable, "-c", code]
    process = subprocess.run(
        command, env=environment, cwd=package.parent.parent, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    assert answer[2].startswith(str(package))
    return answer[:2]


def test_an_edited_callee_in_another_file_is_compiled_anew(copied_package: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert weigh(copied_package, cache) == [[False], 10]
    assert weigh(copied_package, cache) == [[True], 10]
    callee = copied_package / "automata" / "a_kernels.py"
    callee.write_text(callee.read_text().replace("* 2", "* 3"))
    assert weigh(copied_package, cache) == [[False], 15]


def test_a_read_only_package_and_an_unusable_cache_folder_fall_back_to_a_private_one(
    copied_package: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder: not even root can write in it")
    for path in [*copied_package.rglob("*"), copied_package]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert weigh(copied_package, str(tmp_path / "file" / "cache")) == [[False], 10]
        assert weigh(copied_package, str(tmp_path / "file" / "cache")) == [[True], 10]
        private = [path for path in tmp_path.iterdir() if path.name.startswith("bridle-")]
        assert len(private) == 1 and private[0].stat().st_mode & 0o077 == 0
    finally:
        for path in [copied_package, *copied_package.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert not list(copied_package.rglob("__pycache__"))


def test_a_temporary_folder_that_others_can_write_is_not_trusted(copied_package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shared = tmp_path / f"bridle-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    for _ in range(2):
        assert weigh(copied_package, str(tmp_path / "file" / "cache")) == [[False], 10]
    assert not list(shared.rglob("*"))


def test_the_process_that_helps_to_compile_imports_what_this_one_does_and_nothing_else(monkeypatch, tmp_path):
    from bridle.automata import kernel

    (tmp_path / "numba.py").write_text("raise SystemExit('imported from the working directory')")
    probe = "import numba, bridle.automata.kernel as k; print(numba.__file__, k.__file__)"
    started = []
    popen = subprocess.Popen

    def start(command, **options):
        code = command[-1].rpartition("from bridle")[0] + probe
        started.append(popen([*command[:-1], code], cwd=tmp_path, stdout=subprocess.PIPE, text=True))
        return started[-1]

    monkeypatch.setattr(kernel.subprocess, "Popen", start)
    assert kernel._start_other_share() is started[0]
    output, _ = started[0].communicate(timeout=120)
    assert started[0].returncode == 0 and str(tmp_path) not in output and kernel.__file__ in output
