"""Charts as SVG text, drawn for a page that may be light or dark, wide or narrow.

Colours and fonts are the page's (classes `s0`, `s1`, ... and `axis`), so that one drawing serves both themes; every
title and label is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_WIDTH, _HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 36


class _Axes:
    """From values to pixels, with ticks."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self._x, self._y = (_widened(*x), _widened(*y))
        self.parts: list[str] = []

    def x(self, value: float) -> float:
        low, high = self._x
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self._y
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    def path(self, xs: Array, ys: Array, style: str, closed: bool = False) -> None:
        points = [f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
        if points:
            self.parts.append(f'<path class="{style}" d="M{" L".join(points)}{"Z" if closed else ""}"/>')

    def finish(self, label: str, series: Sequence[str]) -> str:
        ticks = [
            f'<text x="{self.x(value):.1f}" y="{_HEIGHT - 18}" text-anchor="middle">{_short(value)}</text>'
            for value in _ticks(*self._x)
        ]
        for value in _ticks(*self._y):
            y = self.y(value)
            ticks.append(f'<path class="grid" d="M{_LEFT},{y:.1f} H{_WIDTH - _RIGHT}"/>')
            ticks.append(f'<text x="{_LEFT - 6}" y="{y + 3:.1f}" text-anchor="end">{_short(value)}</text>')
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        ticks.append(f'<text x="{middle}" y="{_HEIGHT - 3}" text-anchor="middle">{escape(label)}</text>')
        legend = "".join(f'<span><i class="s{number}"></i>{escape(name)}</span>' for number, name in enumerate(series))
        drawing = (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
            f'<g class="axis">{"".join(ticks)}</g>{"".join(self.parts)}</svg>'
        )
        return f'<div class="chart">{drawing}<div class="legend">{legend}</div></div>'


def histogram(series: Mapping[str, Array], label: str, bins: int = 40) -> str:
    """Shares of values in bins of equal width, the series over one another."""
    everything = np.concatenate([np.asarray(values, np.float64) for values in series.values()])
    # The outermost would leave nothing to see of the rest.
    low, high = np.quantile(everything, [0.002, 0.998])
    edges = np.linspace(*_widened(float(low), float(high)), bins + 1)
    shares = {name: np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / len(v) for name, v in series.items()}
    axes = _Axes((edges[0], edges[-1]), (0, max(float(s.max()) for s in shares.values())))
    for number, share in enumerate(shares.values()):
        xs, ys = np.repeat(edges, 2), np.concatenate([[0], np.repeat(share, 2), [0]])
        axes.path(xs, ys, f"area s{number}", closed=True)
    return axes.finish(label, list(shares))


def lines(
    series: Mapping[str, tuple[Array, Array]], label: str, marks: Sequence[float] = (), dots: bool = False
) -> str:
    """Curves of (x, y); `marks` are vertical lines."""
    xs = np.concatenate([x for x, _ in series.values()])
    ys = np.concatenate([y for _, y in series.values()])
    ys = ys[np.isfinite(ys)]
    axes = _Axes((float(xs.min()), float(xs.max())), (float(ys.min()), float(ys.max())) if len(ys) else (0, 1))
    for mark in marks:
        axes.parts.append(f'<path class="mark" d="M{axes.x(mark):.1f},{_TOP} V{_HEIGHT - _BOTTOM}"/>')
    for number, (x, y) in enumerate(series.values()):
        axes.path(x, y, f"line s{number}")
        if dots:
            axes.parts += [
                f'<circle class="dot s{number}" cx="{axes.x(a):.1f}" cy="{axes.y(b):.1f}" r="3"/>'
                for a, b in zip(x, y, strict=True)
                if math.isfinite(b)
            ]
    return axes.finish(label, list(series))


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high - low > 1e-12 * max(abs(low), abs(high), 1e-12) else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers between two values."""
    raw = (high - low) / 5
    power = 10 ** math.floor(math.log10(raw))
    step = power * min((m for m in (1, 2, 5, 10) if m * power >= raw), default=10)
    first = math.ceil(low / step - 1e-9)
    return [step * n for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:.3g}"
