"""Charts as SVG text, drawn for a page that may be light or dark, wide or narrow.

Colours and fonts are the page's, by the classes that each function names, so that one drawing serves all themes. Every
title, name and label is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.pictures.axis import Axis, tick_labels

Array = NDArray[Any]

_WIDTH, _HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 36
_WIDE, _NAMES, _MARGIN, _ROW, _FOOT = 640, 150, 20, 30, 24  # of `intervals`
_NAME_LETTERS = 18


class _Chart:
    """A drawing with two axes and a legend; series number n has the class `sn`, ticks and labels `axis` and `grid`."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x = Axis(*x, _LEFT, _WIDTH - _RIGHT)
        self.y = Axis(*y, _HEIGHT - _BOTTOM, _TOP)
        self.parts: list[str] = []

    def path(self, xs: Array, ys: Array, style: str, closed: bool = False) -> None:
        pixels = [(self.x.pixel(x), self.y.pixel(y)) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
        if pixels:
            points = " L".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
            self.parts.append(f'<path class="{style}" d="M{points}{"Z" if closed else ""}"/>')

    def finish(self, label: str, series: Sequence[str]) -> str:
        ticks = [
            f'<text x="{self.x.pixel(value):.1f}" y="{_HEIGHT - 18}" text-anchor="middle">{text}</text>'
            for value, text in zip(self.x.ticks(), tick_labels(self.x.ticks()), strict=True)
        ]
        for value, text in zip(self.y.ticks(), tick_labels(self.y.ticks()), strict=True):
            y = self.y.pixel(value)
            ticks.append(f'<path class="grid" d="M{_LEFT},{y:.1f} H{_WIDTH - _RIGHT}"/>')
            ticks.append(f'<text x="{_LEFT - 6}" y="{y + 3:.1f}" text-anchor="end">{text}</text>')
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
    axis = Axis(float(low), float(high), 0, 1)
    edges = np.linspace(axis.low, axis.high, bins + 1)
    shares = {name: np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / len(v) for name, v in series.items()}
    chart = _Chart((edges[0], edges[-1]), (0, max(float(s.max()) for s in shares.values())))
    for number, share in enumerate(shares.values()):
        xs, ys = np.repeat(edges, 2), np.concatenate([[0], np.repeat(share, 2), [0]])
        chart.path(xs, ys, f"area s{number}", closed=True)
    return chart.finish(label, list(shares))


def lines(
    series: Mapping[str, tuple[Array, Array]], label: str, marks: Sequence[float] = (), dots: bool = False
) -> str:
    """Curves of (x, y); `marks` are vertical lines."""
    xs = np.concatenate([x for x, _ in series.values()])
    ys = np.concatenate([y for _, y in series.values()])
    ys = ys[np.isfinite(ys)]
    chart = _Chart((float(xs.min()), float(xs.max())), (float(ys.min()), float(ys.max())) if len(ys) else (0, 1))
    for mark in marks:
        chart.parts.append(f'<path class="mark" d="M{chart.x.pixel(mark):.1f},{_TOP} V{_HEIGHT - _BOTTOM}"/>')
    for number, (x, y) in enumerate(series.values()):
        chart.path(x, y, f"line s{number}")
        if dots:
            chart.parts += [
                f'<circle class="dot s{number}" cx="{chart.x.pixel(a):.1f}" cy="{chart.y.pixel(b):.1f}" r="3"/>'
                for a, b in zip(x, y, strict=True)
                if math.isfinite(b)
            ]
    return chart.finish(label, list(series))


class Interval(NamedTuple):
    """A row of `intervals`: a mean and the interval around it.

    Attributes:
        name: at its left.
        style: class of the row.
        title: shown to who points at it.
    """

    name: str
    style: str
    title: str
    mean: float
    low: float
    high: float


def intervals(rows: Sequence[Interval], low: float, high: float) -> str:
    """A dot and its interval for each row, between `low` and `high`; classes `grid`, `tick`, `name` and `whisker`."""
    axis = Axis(low, high, _NAMES, _WIDE - _MARGIN)

    def x(value: float) -> str:
        return f"{axis.pixel(value):.1f}"

    height = _ROW * len(rows) + _FOOT
    ticks = [low + step * (high - low) / 4 for step in range(5)]
    parts = [
        f"<path class=grid d='M{x(tick)} 0V{height - _FOOT}'/>"
        f"<text class=tick x={x(tick)} y={height - 6}>{tick:g}</text>"
        for tick in ticks
    ]
    for place, row in enumerate(rows):
        y = _ROW * place + _ROW / 2
        name = row.name if len(row.name) <= _NAME_LETTERS else row.name[: _NAME_LETTERS - 1] + "…"
        parts.append(
            f"<g class={row.style}><title>{escape(row.title)}</title>"
            f"<text class=name x={_NAMES - 12} y={y + 5}>{escape(name)}</text>"
            f"<path class=whisker d='M{x(row.low)} {y}H{x(row.high)}'/><circle cx={x(row.mean)} cy={y} r=6 /></g>"
        )
    return f"<svg viewBox='0 0 {_WIDE} {height}' role=img>{''.join(parts)}</svg>"
