"""Spreads calls over processes by joblib: of this machine or, within `cluster_backend`, of a Dask or Ray cluster.

    dask://host:8786    the scheduler of a Dask cluster       dask://local:4   four workers on this machine
    ray://host:10001    the head of a Ray cluster             ray://local:4

joblib hands out the work, whatever the backend. Workers find the sounds and the model, and leave what they write, on a
file system that all machines share under the same names; only names, reports and features of sounds travel over the
network. So the results do not depend on who computed them, nor does the head become a bottleneck.
"""

import logging
import os
import re
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

import fauxley
from fauxley.errors import FauxleyError, UsageError

WORKER_DIED = "a worker process died: out of memory, or a decoder crashed on a hostile file; try a single job"

_TIMEOUT_SECONDS = 20
_ADDRESS = re.compile(r"(dask|ray)://(?:local:(?P<workers>[1-9]\d*)|(?P<host>(?!local:)[^/\s]+:\d+))")

_T = TypeVar("_T")
_GROUP = 8  # tasks for each worker at a time, where results cannot come one by one


def check_jobs(n_jobs: int | None) -> None:
    """Raise `UsageError` if there is no such number of workers, or no sense in it: each is a process."""
    most = max(64, 4 * (os.cpu_count() or 1))
    if n_jobs == 0 or (n_jobs or 0) > most:
        raise UsageError(f"the number of jobs must be from 1 to {most}, or -1 for one on each core; got {n_jobs}")


def in_order(
    function: Callable[..., _T], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None
) -> Generator[_T, None, None]:
    """`function` of each of `arguments`, in order, as soon as they are there; `n_jobs` as in joblib.

    `arguments` are drawn a few ahead of the results, so that there may be any number of them.
    """
    if n_jobs == 1:
        for each in arguments:
            yield function(*each)
        return
    import joblib  # which takes longer than one short task

    calls = (joblib.delayed(function)(*each) for each in arguments)
    backend, _ = joblib.parallel.get_active_backend()
    if backend.supports_return_generator:
        workers = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1)
        with _quietly_closing(workers(calls)) as results:
            for result in results:  # noqa: UP028 - `yield from` would close them before we can be quiet about it
                yield result
        return
    workers = joblib.Parallel(n_jobs=n_jobs, batch_size=1)  # Ray's
    while group := list(islice(calls, _GROUP * joblib.effective_n_jobs(-1 if n_jobs is None else n_jobs))):
        yield from workers(group)


@contextmanager
def _quietly_closing(results: Any) -> Iterator[Any]:
    """Close a generator of joblib without its warning of tasks that are given up: what stopped us says more."""
    try:
        yield results
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()


@contextmanager
def cluster_backend(address: str | None) -> Iterator[None]:
    """Within the block, joblib works on the cluster at `address`; None: on this machine.

    Raises:
        UsageError: it is no such address, or a library is missing.
        FauxleyError: there is no answer from it, or its workers have another version of fauxley.
    """
    if address is None:
        yield
        return
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UsageError(
            f"a cluster is dask://HOST:PORT, ray://HOST:PORT, dask://local:N or ray://local:N; got {address}"
        )
    backend = _dask if match[1] == "dask" else _ray
    try:
        with backend(address, match["host"], int(match["workers"] or 0)):
            yield
    except ModuleNotFoundError as error:
        raise UsageError(f"{address} needs more libraries: pip install 'fauxley[{match[1]}]'") from error


@contextmanager
def _dask(address: str, host: str | None, workers: int) -> Iterator[None]:
    import joblib

    distributed: Any = import_module("distributed")
    with ExitStack() as stack:
        scheduler = f"tcp://{host}"
        if host is None:
            # No dashboard: its port may be taken, and nobody asked for it.
            local = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            scheduler = stack.enter_context(local)
        try:
            client = stack.enter_context(distributed.Client(scheduler, timeout=_TIMEOUT_SECONDS))
        except OSError as error:
            raise _unreachable(address) from error
        found = set(client.run(_version).values())
        if not found:
            raise FauxleyError(f"{address} has no workers; start some with 'dask worker tcp://{host}'")
        _check_versions(address, found)
        try:
            with joblib.parallel_config(backend="dask", n_jobs=-1):
                yield
        except distributed.KilledWorker as error:
            raise _worker_died(address) from error


@contextmanager
def _ray(address: str, host: str | None, workers: int) -> Iterator[None]:
    import joblib

    ray: Any = import_module("ray")
    import_module("ray.util.joblib").register_ray()
    try:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        if host is None:
            ray.init(num_cpus=workers, include_dashboard=False, **quiet)
        else:
            ray.init(f"ray://{host}", **quiet)
    except ConnectionError as error:
        raise _unreachable(address) from error
    try:
        _check_versions(address, {ray.get(ray.remote(_version).remote())})
        with joblib.parallel_config(backend="ray", n_jobs=-1):
            yield
    except ray.exceptions.RayActorError as error:
        raise _worker_died(address) from error
    finally:
        ray.shutdown()


def _version() -> str:
    return fauxley.__version__


def _check_versions(address: str, found: set[str]) -> None:
    if others := found - {fauxley.__version__}:
        raise FauxleyError(
            f"workers of {address} have fauxley {', '.join(sorted(others))} and this machine {fauxley.__version__}; "
            "install the same everywhere"
        )


def _worker_died(address: str) -> FauxleyError:
    return FauxleyError(
        f"a worker of {address} died again and again: out of memory? Run it again; prepare and generate go on"
    )


def _unreachable(address: str) -> FauxleyError:
    return FauxleyError(f"no answer from {address} within {_TIMEOUT_SECONDS} s; is the cluster running there?")
