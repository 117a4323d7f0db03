"""Calls spread over processes by joblib: of this machine or, within `joblib.parallel_config`, of a cluster."""

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

_T = TypeVar("_T")
_GROUP = 8  # tasks for each worker at a time, where results cannot come one by one


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
