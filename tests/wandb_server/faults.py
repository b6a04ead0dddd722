"""Spoiled answers: errors, slow and cut bodies, silence, HTML, answers lost after the write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tests.wandb_server.exchange import Answer, Request

When = Callable[[Request], bool] | str
# The client waits a whole second at the least before it tries again, or what the server says.
AT_ONCE = {"Retry-After": "0"}


class Exchange(Protocol):
    """What a fault does with a request."""

    def carry_out(self) -> Answer: ...

    def send(self, answer: Answer, *, length: int | None = None) -> None: ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


@dataclass
class _Rule:
    when: Callable[[Request], bool]
    act: Callable[[Exchange], None]
    left: int | None


@dataclass(eq=False, repr=False)
class Faults:
    """Rules, asked in the order they were added; the first that fits acts, at most `times` times.

    `when` is a function of the `Request`, or the name of an operation.
    """

    closing: threading.Event = field(default_factory=threading.Event)
    _rules: list[_Rule] = field(default_factory=list)
    _hooks: list[_Rule] = field(default_factory=list)
    _releases: list[threading.Event] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(
        self,
        when: When,
        *,
        status: int = 502,
        times: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
    ) -> None:
        """Answer with an error, and do not carry out the request."""
        content = body.encode() if isinstance(body, str) else body
        answer = Answer(status, content, dict(headers or {}))
        self._add(self._rules, when, lambda exchange: exchange.send(answer), times)

    def html(self, when: When, *, times: int | None = None, status: int = 200) -> None:
        """Answer with a page, as a proxy or a sign-in wall does."""
        page = b"<!DOCTYPE html><html><body>Sign in to continue</body></html>"
        answer = Answer(status, page, {"Content-Type": "text/html"})
        self._add(self._rules, when, lambda exchange: exchange.send(answer), times)

    def lost_answer(
        self,
        when: When,
        *,
        status: int | None = 500,
        times: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Carry out the request, then answer with an error, or with `None` hang up."""

        def act(exchange: Exchange) -> None:
            exchange.carry_out()
            if status is not None:
                exchange.send(Answer(status, headers=dict(headers or {})))
            else:
                exchange.close()

        self._add(self._rules, when, act, times)

    def cut(self, when: When, *, times: int | None = None, aborted: bool = True) -> None:
        """Send half of the body, then hang up; not `aborted`, as if the half were all."""

        def act(exchange: Exchange) -> None:
            answer = exchange.carry_out()
            half = Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)
            exchange.send(half, length=len(answer.body) if aborted else None)
            exchange.close()

        self._add(self._rules, when, act, times)

    def drip(
        self, when: When, *, times: int | None = None, size: int = 16, interval: float = 0.05
    ) -> None:
        """Send the body in pieces of `size` bytes, one in each `interval` seconds."""

        def act(exchange: Exchange) -> None:
            answer = exchange.carry_out()
            exchange.send(Answer(answer.status, b"", answer.headers), length=len(answer.body))
            for start in range(0, len(answer.body), size):
                exchange.write(answer.body[start : start + size])
                if self.closing.wait(interval):
                    return exchange.close()
            return None

        self._add(self._rules, when, act, times)

    def hang(
        self, when: When, *, times: int | None = None, applied: bool = False
    ) -> threading.Event:
        """Answer nothing until the returned event, `clear` or the end, then hang up."""
        release = threading.Event()
        with self._lock:
            self._releases.append(release)

        def act(exchange: Exchange) -> None:
            if applied:
                exchange.carry_out()
            release.wait()
            exchange.close()

        self._add(self._rules, when, act, times)
        return release

    def before(self, when: When, call: Callable[[], object], *, times: int | None = 1) -> None:
        """Call a function before a request is carried out: what somebody else does meanwhile."""
        self._add(self._hooks, when, lambda _: call(), times)

    @property
    def hung(self) -> bool:
        """Whether a rule has let requests hang since the last `clear`."""
        with self._lock:
            return bool(self._releases)

    def clear(self) -> None:
        """Forget the rules, and let go what hangs."""
        with self._lock:
            self._rules.clear()
            self._hooks.clear()
            for release in self._releases:
                release.set()
            self._releases.clear()

    def spoil(self, request: Request, exchange: Exchange) -> bool:
        """Run the hooks and the rule that fit a request; return whether it is dealt with."""
        hook = self._take(self._hooks, request)
        if hook:
            hook.act(exchange)
        rule = self._take(self._rules, request)
        if rule:
            rule.act(exchange)
        return rule is not None

    def _add(
        self,
        rules: list[_Rule],
        when: When,
        act: Callable[[Exchange], None],
        times: int | None,
    ) -> None:
        fits = (lambda request: request.operation == when) if isinstance(when, str) else when
        with self._lock:
            rules.append(_Rule(fits, act, times))

    def _take(self, rules: list[_Rule], request: Request) -> _Rule | None:
        with self._lock:
            for rule in rules:
                if rule.left != 0 and rule.when(request):
                    rule.left = None if rule.left is None else rule.left - 1
                    return rule
        return None
