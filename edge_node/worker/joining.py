"""Several asks as one: which go together, how their inputs are joined, and which part of an output is whose. Pure.

Asks go together along the first axis where all other axes agree. Axes that are declared as padded may differ: the
shorter are filled with zeros, and answers are cut back to what each ask brought.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from edge_node.engine.base import Array, TensorSpec

Feeds = Mapping[str, Array]
Axes = Mapping[str, tuple[str, ...]]
"""By a tensor's name, the name of each of its axes; empty where an axis is not padded."""


def padded_axes(specs: Sequence[TensorSpec], names: Collection[str]) -> Axes:
    """The axes of tensors that have one of these names."""
    kept = {spec.name: tuple(axis if axis in names else "" for axis in spec.axes) for spec in specs}
    return {tensor: axes for tensor, axes in kept.items() if any(axes)}


def groups(all_feeds: Sequence[Feeds], axes: Axes) -> list[list[int]]:
    """The positions of those that go together, in their order."""
    found: dict[object, list[int]] = {}
    for position, feeds in enumerate(all_feeds):
        found.setdefault(tuple(_kind(name, feed, axes) for name, feed in feeds.items()), []).append(position)
    return list(found.values())


def joined(group: Sequence[Feeds], axes: Axes) -> Feeds:
    """The feeds of a group as one batch."""
    if len(group) == 1:
        return group[0]
    return {name: _concatenated([feeds[name] for feeds in group], name in axes) for name in group[0]}


def cut_back(output: Array, name: str, feeds: Feeds, axes: Axes) -> Array:
    """An ask's part of an output, without what padding brought."""
    names = axes.get(name)
    if names is None:
        return output
    lengths = {axis: feeds[tensor].shape[place] for tensor in feeds for place, axis in enumerate(axes.get(tensor, ()))}
    return output[tuple(slice(lengths.get(axis) if axis else None) for axis in names)]


def _kind(name: str, feed: Array, axes: Axes) -> object:
    names = axes.get(name)
    if names is None:
        return feed.shape[1:]
    return tuple(length for axis, length in zip(names[1:], feed.shape[1:], strict=True) if not axis)


def _concatenated(feeds: Sequence[Array], padded: bool) -> Array:
    if not padded or all(feed.shape[1:] == feeds[0].shape[1:] for feed in feeds):
        return np.concatenate(feeds)
    longest = np.max([feed.shape[1:] for feed in feeds], axis=0)
    whole = np.zeros((sum(len(feed) for feed in feeds), *longest), feeds[0].dtype)
    start = 0
    for feed in feeds:
        whole[(slice(start, start + len(feed)), *map(slice, feed.shape[1:]))] = feed
        start += len(feed)
    return whole
