"""Processes that share the tasks of a benchmark; how many there are changes no number."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

Tell = Callable[[str], None]
T = TypeVar("T")


class Crew:
    """Processes that tasks are sent to, or none where `count` is 1: then a task runs when it is sent."""

    def __init__(self, count: int, tell: Tell) -> None:
        self.tell = tell
        self.pool = ProcessPoolExecutor(count, mp_context=get_context("spawn")) if count > 1 else None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def send(self, what: str, work: Callable[..., T], *given: Any) -> Future[T]:
        """The result of `work(*given)` to come; `what` is told when it is there."""
        if self.pool is not None:
            future = self.pool.submit(work, *given)
            future.add_done_callback(lambda _: self.tell(f"{what}: done"))
            return future
        future = Future()
        future.set_result(work(*given))
        self.tell(f"{what}: done")
        return future
