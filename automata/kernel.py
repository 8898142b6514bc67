"""The one decorator of the compiled kernels, their cache on disk, and the primitives that only machine code has.

A kernel is a function over arrays and scalars with an explicit signature. `@kernel` registers it and compiles nothing;
`compile_all` compiles or loads every kernel registered so far and then locks the dispatchers, so that no request ever
pays for a specialisation: an argument of a wrong type is a TypeError. Wrappers call `compile_all()` on entry; when
nothing waits it costs a list's truth test (0.05 us).

The cache. Numba keys an entry by the source of the one file that holds the function, so an edited callee in another
file leaves stale machine code, and it writes beside the source, which an installation may forbid. Here an entry lies
in `kernels/<digest>` of a cache folder (cache_dir.py), where the digest covers the source of *every* kernel file of
the package, the versions of numba, llvmlite and Python, and the options that change the code numba writes; numba's key
adds the CPU.

INVARIANT: a constant that a kernel reads is defined in a kernel file; only those are under the digest.
INVARIANT: one file per (function, signature, CPU), written whole under another name, then renamed, with a checksum in
front. Numba's index (read, change, write) is not used: of two processes that fill it at once, one could point at the
other's code. Whatever cannot be read or does not verify is compiled again; whatever cannot be written is left.
Reads look in all cache folders, so a warm read-only one in an image is of use.

Cost: 1 to 3 ms to load a kernel, 100 to 2,000 ms to compile one. Works with numba 0.61 to 0.68; where its private
interface has changed, numba's own cache stands in, and else none. Under NUMBA_DISABLE_JIT=1 kernels are plain Python.

Everything here needs numba, so this file is imported by kernel files, and else only within functions.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
import numpy as np
from numba import carray, config, types
from numba.core import cgutils, codegen, event
from numba.core.serialize import dumps
from numba.extending import intrinsic

from .cache_dir import cache_folders

__all__ = [
    "ProgressLine", "acquire", "compile_all", "copy_bytes", "device", "fence", "i32_at", "i64_at", "kernel",
    "load_kernels", "subroutine", "u8_at",
]  # fmt: skip

Function = TypeVar("Function", bound=Callable[..., Any])
Progress = Callable[[int, int, str, bool], None]

JIT = not getattr(config, "DISABLE_JIT", 0)
# Inner functions are called by kernels alone: what lets Python and C call them takes a fifth of the time to compile.
_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_PACKAGES = ("automata", "grammar", "sampler", "speculative", "integrations")
# Kernels that take more than half of the time and share most of their inner functions: one of two processes compiles
# them, where there are two processors.
_HEAVY = frozenset(("mask_kernels", "precompute_kernels", "step_kernels"))
# Kernels that build large sets of strings: whoever makes such a grammar waits for them then, once per machine.
_ON_DEMAND = frozenset(("acyclic_kernels", "factor_kernels"))

# ---------------------------------------------------------------------------------------------- registration


class _Registry:
    """Kernels in the order of their definition, callees before callers, and how many of them are compiled."""

    __slots__ = ("complete", "kernels", "lock", "waiting")

    def __init__(self) -> None:
        self.complete = False
        self.kernels: list[tuple[Any, tuple[str, ...]]] = []
        self.waiting: list[tuple[Any, tuple[str, ...]]] = []
        self.lock = threading.RLock()


_registry = _Registry()


def kernel(*signatures: str) -> Callable[[Function], Function]:
    """Registers a kernel with explicit signatures, e.g. `"int64(int32[:, ::1], int64)"`; compiles nothing.

    A parameter that also takes read-only arrays is written `Array(int32, 2, 'C', True)`; writable ones convert to it.
    Define callees before callers (as imports do), and call `compile_all` before the first call.
    """
    if not signatures:
        raise TypeError("a kernel needs at least one explicit signature")

    def decorate(function: Function) -> Function:
        if not JIT:
            return function
        dispatcher: Any = numba.njit(nogil=True)(function)
        _attach_cache(dispatcher)
        with _registry.lock:
            _registry.kernels.append((dispatcher, signatures))
            _registry.waiting.append((dispatcher, signatures))
        return dispatcher

    return decorate


def device(function: Function) -> Function:
    """An inner function of kernels: no signature and no cache entry of its own, inlined into its callers."""
    inlined: Any = numba.njit(nogil=True, forceinline=True, **_INNER)(function) if JIT else function
    return inlined


def subroutine(signature: str | Function) -> Any:
    """An inner function of kernels that is too large to inline: `@subroutine` is specialised for its callers' types,
    `@subroutine(signature)` is compiled once, for this signature alone.

    Without a signature numba compiles it anew for every mixture of int32 and int64 arguments, which made the first
    compile of all kernels three times as long. It is compiled when the first kernel that calls it is, and not cached by
    itself.

    PERF: an array that is passed to an inner function or assigned anew in a loop is reference counted there, even if
    the function is inlined: a loop without either was five times as fast (minimize_kernels.py).
    """

    def decorate(function: Function) -> Function:
        if not JIT:
            return function
        dispatcher: Any = numba.njit(nogil=True, **_INNER)(function)
        specialise = dispatcher.get_call_template

        def get_call_template(args: Any, kws: Any) -> Any:
            if not dispatcher.overloads:
                dispatcher.compile(signature)
                dispatcher.disable_compile()
            return specialise(args, kws)

        # Numba asks this when it types a call. Were it to stop asking, calls would be specialised as usual: slower to
        # compile, not wrong.
        with contextlib.suppress(AttributeError):
            dispatcher.get_call_template = get_call_template
        return dispatcher

    if not isinstance(signature, str):
        return numba.njit(nogil=True, **_INNER)(signature) if JIT else signature
    return decorate


def compile_all(progress: Progress | None = None) -> None:
    """Compiles or loads every registered kernel that waits for it; returns at once when none does.

    `progress(done, total, name, cached)` is called after each kernel; `cached`: it was loaded, not compiled. The
    default is a line on stderr, silent where all is loaded.
    Any number of threads may call it; they return when all kernels are ready.
    """
    if not _registry.waiting:
        return
    progress = ProgressLine() if progress is None else progress
    with _registry.lock, _optimising_once():
        total, done = len(_registry.waiting), 0
        while _registry.waiting:
            dispatcher, signatures = _registry.waiting[0]
            misses = sum(dispatcher.stats.cache_misses.values())
            for signature in signatures:
                dispatcher.compile(signature)
            dispatcher.disable_compile()
            done += 1
            name = f"{dispatcher.py_func.__module__.rpartition('.')[2]}.{dispatcher.py_func.__name__}"
            progress(done, total, name, sum(dispatcher.stats.cache_misses.values()) == misses)
            # Removed last: until then the threads without the lock wait for it instead of running ahead.
            _registry.waiting.pop(0)


class _Nesting(event.Listener):  # type: ignore[misc]
    """How many functions one thread is compiling, one for the sake of the other."""

    def __init__(self) -> None:
        self.depth = 0
        self._thread = threading.get_ident()

    def on_start(self, event: Any) -> None:
        self.depth += self.is_here()

    def on_end(self, event: Any) -> None:
        self.depth -= self.is_here()

    def is_here(self) -> bool:
        return threading.get_ident() == self._thread


@contextlib.contextmanager
def _optimising_once() -> Iterator[None]:
    """While it lasts, this thread's compilations optimise no inner function for itself.

    Numba would optimise each with all that it calls, and all of that again in its callers, up to the kernel: a fifth of
    the time that all kernels take. Where numba's private interface has changed, it does.
    """
    library: Any = getattr(codegen, "CPUCodeLibrary", None)
    optimise = getattr(library, "_optimize_final_module", None)
    if optimise is None:
        yield
        return
    nesting = _Nesting()

    def optimise_outermost(self: Any) -> None:
        if nesting.depth <= 1 or not nesting.is_here():
            optimise(self)

    library._optimize_final_module = optimise_outermost
    try:
        with event.install_listener("numba:compile", nesting):
            yield
    finally:
        library._optimize_final_module = optimise


def load_kernels(progress: Progress | None = None, *, everything: bool = False) -> None:
    """Compiles or loads the kernels of the package at once, so that none is left for the middle of a request.

    everything : those, too, that only some front ends need, when a grammar is made (`_ON_DEMAND`).
    """
    if not _registry.complete or everything:
        # Before the lock: a thread that imports such a module holds the lock of imports, and then waits for this one.
        _import_kernels(everything=everything)
        with _registry.lock:
            other = _start_other_share() if JIT and _is_cold() and (os.cpu_count() or 1) > 1 else None
            try:
                if other is not None:
                    _registry.waiting.sort(key=lambda entry: not _is_heavy(entry[0]))
                compile_all(progress)
            finally:
                if other is not None:
                    other.kill()  # what it was late with was compiled here
                    other.wait()
            _registry.complete = True


def _import_kernels(*, everything: bool = False) -> None:
    for name in _kernel_modules():
        if everything or name.rpartition(".")[2] not in _ON_DEMAND:
            importlib.import_module(name)


# ---------------------------------------------------------------------------------------------- two processes


def _is_heavy(dispatcher: Any) -> bool:
    return dispatcher.py_func.__module__.rpartition(".")[2] in _HEAVY


def _start_other_share() -> subprocess.Popen[bytes] | None:
    """Starts a process that compiles what is not heavy, into the cache; None where that is not possible.

    Numba compiles one function at a time in a process. Whatever the other one has not done is compiled here.
    """
    if "python" not in Path(sys.executable or "").name.lower():
        return None  # a program with Python inside, which would not know what to do
    # The path of this process and no other: `python -c` would look into the working directory first.
    path = [os.path.abspath(folder) for folder in sys.path]
    code = f"import sys; sys.path[:] = {path!r}; from {__name__} import compile_light; compile_light()"
    try:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, ValueError):
        return None


def compile_light() -> None:
    """Compiles the kernels that are not heavy: what the process that `load_kernels` starts does."""
    _import_kernels()
    with _registry.lock:
        _registry.waiting = [entry for entry in _registry.waiting if not _is_heavy(entry[0])]
        compile_all(lambda *_: None)


class ProgressLine:
    """The default progress: one line on stderr that is rewritten in place, silent while all comes from the cache."""

    __slots__ = ("_shown", "_stream")

    def __init__(self, stream: Any = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = False

    def __call__(self, done: int, total: int, name: str, cached: bool) -> None:
        self._shown |= not cached
        if self._shown:
            line = f"\rbridle: compiling kernels, once per machine: {done}/{total} {name}"
            self._stream.write(f"{line:<110}" + ("\n" if done == total else ""))
            self._stream.flush()


# ---------------------------------------------------------------------------------------------- cache on disk


def _is_cold() -> bool:
    """Whether no kernel of this source is in the cache, which can be written."""
    folders = [folder / "kernels" / _kernels_digest() for folder in cache_folders()]
    return bool(folders) and not any(folder.is_dir() and any(folder.glob("*.nbc")) for folder in folders)


@cache
def _kernels_digest() -> str:
    """Of everything that decides the machine code, but for the CPU and the signature."""
    digest = hashlib.sha256()
    options = [getattr(config, name, None) for name in ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE")]
    versions = [numba.__version__, llvmlite.__version__, sys.implementation.cache_tag, sys.version_info[:3]]
    digest.update(repr((options, versions)).encode())
    for path in _kernel_files():
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _kernel_files() -> Iterator[Path]:
    yield Path(__file__)
    root = __package__.rpartition(".")[0]
    for package in _PACKAGES:
        spec = importlib.util.find_spec(f"{root}.{package}")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield from sorted(Path(folder).glob("*kernels.py"))


def _kernel_modules() -> Iterator[str]:
    """The names of the modules that hold kernels."""
    root = __package__.rpartition(".")[0]
    for path in _kernel_files():
        if path.name != Path(__file__).name:
            yield f"{root}.{path.parent.name}.{path.stem}"


class _EntryFiles:
    """Stands in for numba's IndexDataCacheFile: `load(key)` and `save(key, data)` on files named by the key."""

    __slots__ = ("_base",)

    def __init__(self, base: str) -> None:
        self._base = base

    def _name(self, key: Any) -> str:
        signature, target, code = key
        return f"{self._base}.{hashlib.sha256(repr((str(signature), target, code)).encode()).hexdigest()[:24]}.nbc"

    def load(self, key: Any) -> Any:
        for folder in cache_folders():
            with contextlib.suppress(Exception):  # absent, cut short, or written by something else: compile again
                content = (folder / "kernels" / _kernels_digest() / self._name(key)).read_bytes()
                if hashlib.sha256(content[32:]).digest() == content[:32]:
                    return pickle.loads(content[32:])
        return None

    def save(self, key: Any, data: Any) -> None:
        content = dumps(data)
        content = hashlib.sha256(content).digest() + content
        for folder in cache_folders():
            path = folder / "kernels" / _kernels_digest() / self._name(key)
            partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.part")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(content)
                partial.replace(path)
                return
            except OSError:
                with contextlib.suppress(OSError):
                    partial.unlink()


def _kernel_cache(function: Callable[..., Any]) -> Any:
    """Numba's FunctionCache over `_EntryFiles`; raises where numba's private interface has changed."""
    from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

    class Locator(_CacheLocator):
        _py_file = function.__code__.co_filename

        def get_cache_path(self) -> str:
            return str(cache_folders()[0] / "kernels")

        def ensure_cache_path(self) -> None:
            """Nothing: a folder is made when an entry is written."""

        def get_source_stamp(self) -> str:
            return hashlib.sha256(Path(self._py_file).read_bytes()).hexdigest()[:12]

        def get_disambiguator(self) -> str:
            return str(function.__code__.co_firstlineno)

    class Implementation(CompileResultCacheImpl):
        def __init__(self) -> None:
            self._lineno = function.__code__.co_firstlineno
            self._locator = Locator()
            self._filename_base = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")

    class KernelCache(FunctionCache):
        def __init__(self) -> None:
            self._name, self._py_func, self._impl = repr(function), function, Implementation()
            self._cache_path = self._impl.locator.get_cache_path()
            # The file's own digest too: kernels outside the package (tests, users) are not under the common one.
            base = f"{self._impl.filename_base}-{self._impl.locator.get_source_stamp()}"
            self._cache_file: Any = _EntryFiles(base)
            self.enable()

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            with contextlib.suppress(Exception):  # an entry that does not load is compiled again
                return super().load_overload(sig, target_context)
            return None

        def save_overload(self, sig: Any, data: Any) -> None:
            with contextlib.suppress(Exception):
                super().save_overload(sig, data)

    return KernelCache()


def _attach_cache(dispatcher: Any) -> None:
    try:
        own = _kernel_cache(dispatcher.py_func)
        if not (hasattr(own, "_index_key") and hasattr(dispatcher, "_cache")):
            raise AttributeError("numba's cache has another shape")
        dispatcher._cache = own
    except Exception:  # Plain caching needs only public names, and works without any where it finds no folder.
        with contextlib.suppress(Exception):
            dispatcher.enable_caching()


# ---------------------------------------------------------------------------------------------- views and fences


def _python_view(dtype: Any) -> Callable[[int, int], np.ndarray]:
    def view(address: int, n: int) -> np.ndarray:
        size = int(n) * np.dtype(dtype).itemsize
        if not size:
            return np.empty(0, dtype)
        return np.frombuffer((ctypes.c_uint8 * size).from_address(int(address)), dtype)

    return view


def _pointer_to(element: Any) -> Any:
    """An intrinsic: int64 address -> pointer to `element`."""

    @intrinsic
    def pointer(typing_context, address):  # type: ignore[no-untyped-def]
        signature = types.CPointer(element)(types.int64)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return signature, generate

    return pointer


if JIT:
    _i32_pointer, _i64_pointer = _pointer_to(types.int32), _pointer_to(types.int64)
    _u8_pointer = _pointer_to(types.uint8)

    @device
    def i32_at(address, n):  # type: ignore[no-untyped-def]
        """The int32[n] that lies at `address` (int64), as a view. The caller keeps its owner alive and large enough."""
        return carray(_i32_pointer(address), n, np.int32)

    @device
    def i64_at(address, n):  # type: ignore[no-untyped-def]
        """The int64[n] that lies at `address` (int64), as a view."""
        return carray(_i64_pointer(address), n, np.int64)

    @device
    def u8_at(address, n):  # type: ignore[no-untyped-def]
        """The uint8[n] that lies at `address` (int64), as a view."""
        return carray(_u8_pointer(address), n, np.uint8)

    @intrinsic
    def copy_bytes(typing_context, to, source, n):  # type: ignore[no-untyped-def]
        """Copies n bytes from one address to another (int64 each); the two do not overlap.

        PERF: a loop over elements is not always made into this: 16 KB take 0.1 us so, and 1.1 us by elements.
        """

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            pointer = context.get_value_type(types.CPointer(types.uint8))
            places = [builder.inttoptr(address, pointer) for address in arguments[:2]]
            cgutils.raw_memcpy(builder, *places, arguments[2], 1)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), generate

    @intrinsic
    def fence(typing_context):  # type: ignore[no-untyped-def]
        """A sequentially consistent memory fence: what was written before it is seen before what is written after."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            builder.fence("seq_cst")
            return context.get_dummy_value()

        return types.void(), generate

    @intrinsic
    def acquire(typing_context):  # type: ignore[no-untyped-def]
        """An acquire fence: what is read after it is read after what was read before it. Free on x86."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            builder.fence("acquire")
            return context.get_dummy_value()

        return types.void(), generate

else:
    i32_at, i64_at, u8_at = _python_view(np.int32), _python_view(np.int64), _python_view(np.uint8)

    def copy_bytes(to: int, source: int, n: int) -> None:  # type: ignore[misc]
        """Copies n bytes from one address to another."""
        ctypes.memmove(int(to), int(source), int(n))

    def acquire() -> None:  # type: ignore[misc]
        """Nothing: the interpreter orders its own reads."""

    def fence() -> None:  # type: ignore[misc]
        """Nothing: the interpreter orders its own writes."""
