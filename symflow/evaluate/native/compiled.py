"""The kernels as machine code: compiled once for a machine and kept in the user's cache, from which it is loaded."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from symflow.evaluate.native.kernel import kernel
from symflow.evaluate.native.loops.kernel import loop_kernel
from symflow.files import write_atomically

PASSES = ("sroa", "simplify_cfg", "instruction_combine", "loop_rotate", "instruction_combine", "simplify_cfg")
"""What LLVM does before it writes machine code: a quarter of a second; all of -O3 takes 0.9 s more, and its code is no
faster (the loops that count are unrolled where they are written)."""
DIGEST = hashlib.sha256().digest_size
Entry = Callable[..., int]
INTEGER, POINTER = ctypes.c_int64, ctypes.c_void_p


@dataclass(frozen=True)
class Compiled:
    """The functions of the kernel of power series that are called from outside; `engine` owns their code."""

    begin: Entry
    advance: Entry
    complete: Entry
    horner: Entry
    engine: Any


@dataclass(frozen=True)
class CompiledLoops:
    """That of the kernel of programs that are repeated; `engine` owns its code."""

    repeat: Entry
    engine: Any


@cache
def compiled() -> Compiled | None:
    """The kernel of power series on this machine; None where there is no llvmlite, or where it can't be used."""
    engine = _engine(kernel)
    if engine is None:
        return None
    return Compiled(
        _entry(engine, "begin", POINTER),
        _entry(engine, "advance", POINTER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER),
        _entry(engine, "complete", POINTER, POINTER, INTEGER, INTEGER),
        _entry(engine, "horner", POINTER, POINTER, INTEGER, INTEGER, POINTER, POINTER, INTEGER),
        engine,
    )


@cache
def compiled_loops() -> CompiledLoops | None:
    """The same of the kernel of programs that are repeated."""
    engine = _engine(loop_kernel)
    return engine and CompiledLoops(_entry(engine, "repeat", POINTER, INTEGER, INTEGER, INTEGER, INTEGER), engine)


def _entry(engine: Any, name: str, *arguments: Any) -> Entry:
    found: Entry = ctypes.CFUNCTYPE(INTEGER, *arguments)(engine.get_function_address(name))
    return found


def _engine(text: Callable[[], str]) -> Any:
    """What owns the machine code of some assembly; None where there can be none."""
    if sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        import llvmlite.binding as llvm
    except (ImportError, OSError):
        return None
    try:
        return _loaded(llvm, text())
    except (RuntimeError, OSError, AttributeError):  # no target for this machine, an LLVM of another age
        return None


def _loaded(llvm: Any, text: str) -> Any:
    """Machine code from the cache, or compiled now."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = _machine(llvm)
    versions = (importlib.metadata.version("llvmlite"), str(llvm.llvm_version_info), llvm.get_process_triple())
    parts = (text, *PASSES, *versions, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    place = _cache_file(key)
    code = None if place is None else _cached(place)
    if code is None:
        code = _compile(llvm, machine, text)
        if place is not None:
            with suppress(OSError, ValueError):
                write_atomically(place, hashlib.sha256(code).digest() + code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def _machine(llvm: Any) -> Any:
    """This machine, with all its instructions."""
    name, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(cpu=name, features=features, opt=3, jit=True)


def _compile(llvm: Any, machine: Any, text: str) -> bytes:
    """The object code of the kernel."""
    module = llvm.parse_assembly(text)
    module.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    try:
        manager = llvm.create_new_module_pass_manager()
        for name in PASSES:
            getattr(manager, f"add_{name}_pass")()
    except AttributeError:  # a llvmlite that offers them all or none
        manager = builder.getModulePassManager()
    manager.run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


def _cached(place: Path) -> bytes | None:
    """What the cache holds, if it's whole and nobody else can have written it."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    digest, code = content[:DIGEST], content[DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _cache_file(key: str) -> Path | None:
    """Where the code of this key is kept: in a directory that only the user can write to; None if there is none."""
    try:
        folder = _cache_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except (OSError, RuntimeError):
        return None
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        return None
    return folder / f"kernel-{key}.o"


def _cache_folder() -> Path:
    """The user's cache of symflow.

    Raises:
        RuntimeError: there is no home directory.
    """
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "symflow"
