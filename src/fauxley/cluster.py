"""`--cluster`: the work of a command spread over the machines of a Dask or Ray cluster.

    dask://host:8786    the scheduler of a Dask cluster       dask://local:4   four workers on this machine
    ray://host:10001    the head of a Ray cluster             ray://local:4

joblib hands out the work, whatever the backend. Workers find the sounds and the model, and leave what they write, on a
file system that all machines share under the same names; only names, reports and features of sounds travel over the
network. So the results do not depend on who computed them, nor does the head become a bottleneck.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

import fauxley
from fauxley.errors import FauxleyError, UsageError

_TIMEOUT_SECONDS = 20
_ADDRESS = re.compile(r"(dask|ray)://(?:local:(?P<workers>[1-9]\d*)|(?P<host>(?!local:)[^/\s]+:\d+))")


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
