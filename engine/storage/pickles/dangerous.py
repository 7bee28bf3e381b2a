"""Names that are known to run, load or fetch things: a file that holds one is refused, whatever it does with it.

Everything else becomes an inert stub, so nothing hangs on this list being complete: it is there to tell a person that
the file was made to do harm. Compiled from what scanners of pickles look for (picklescan, modelscan, fickling), less
what honest training states hold.
"""

from __future__ import annotations

_MODULES = """
os nt posix subprocess _posixsubprocess _winapi popen2 pty sys importlib _frozen_importlib imp runpy pkgutil zipimport
pdb bdb cProfile doctest pydoc idlelib lib2to3 ensurepip venv pip socket _socket socketserver ssl _ssl asyncio
httplib urllib urllib2 aiohttp httpx ftplib smtplib telnetlib poplib imaplib nntplib xmlrpc webbrowser antigravity
ctypes _ctypes cffi mmap marshal pickle _pickle cPickle shelve dill cloudpickle shutil tempfile fileinput
threading _thread multiprocessing concurrent sqlite3 codeop logging.config numpy.f2py
numpy.testing numpy.ctypeslib numpy.distutils torch.hub torch.utils.cpp_extension torch.utils.collect_env
torch.utils.bottleneck torch._inductor.codecache torch._dynamo.guards torch.jit.unsupported_tensor_ops
torch.utils._config_module torch.fx.experimental.symbolic_shapes torch.utils.data.datapipes.utils.decoder torch.package
torch.distributed.rpc pandas.io.pickle requests.api distutils.file_util distutils.spawn distutils.core
"""
"""Modules of which every name counts, and those of the modules below them."""

_WORDS = """
code commands http io _io platform posixpath profile requests select trace types glob signal operator _operator timeit
linecache
"""
"""Modules whose names people give to modules of their own too: these count alone, not what is below them."""

_BUILTINS = """
eval exec execfile compile open file input raw_input getattr setattr delattr __import__ __build_class__ apply breakpoint
globals locals vars help exit quit
"""

_NAMES = """
torch.load torch.jit.load torch.serialization.load torch.ops.load_library torch.classes.load_library numpy.load
numpy.loadtxt numpy.genfromtxt numpy.fromfile numpy.memmap pandas.read_pickle codecs.open site.main functools.reduce
logging.FileHandler uuid._popen uuid._get_command_stdout yaml.load yaml.unsafe_load joblib.load
"""

_REACHING = "__import__ __builtins__ __globals__ __subclasses__ __getattribute__ __loader__ __code__"
"""Attributes by which a name reaches whatever it likes."""

_INERT = """
types.SimpleNamespace types.MappingProxyType types.GenericAlias types.NoneType io.BytesIO _io.BytesIO io.StringIO
_io.StringIO sys.version_info sys.flags os.stat_result os.terminal_size posix.uname_result platform.uname_result
"""
"""Names of such modules that hold data and nothing else, as honest training states do."""

_RUNNING = frozenset(_MODULES.split() + _NAMES.split())
_ALONE, _BUILT_IN, _REACH, _HOLDING = (frozenset(names.split()) for names in (_WORDS, _BUILTINS, _REACHING, _INERT))


def runs_things(module: str, name: str) -> bool:
    """Whether that name is known to run, load or fetch something."""
    whole = f"{module}.{name}"
    if whole in _HOLDING:
        return False
    if module in ("builtins", "__builtin__", "__builtins__") and name.partition(".")[0] in _BUILT_IN:
        return True
    # A name may itself be dotted: it walks on from the module, as far as it likes.
    parts = whole.split(".")
    steps = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return module in _ALONE or not steps.isdisjoint(_RUNNING) or not _REACH.isdisjoint(parts)
