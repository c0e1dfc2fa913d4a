"""Which camera-hours the tables hold already.

Their coverage rows say so: those that name the digest of all that an hour depends on. To read each coverage object
again every night would take hours where there are a million. So a run keeps an index of what it read, by the ETags of
the objects, in `index/model=<deployment>-<digest8>.parquet`. An entry counts as long as the listing shows that ETag:
the index is never wrong, and it may be deleted at any time.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stmae import tables
from stmae.archive.timeline import Unit, inputs_digest
from stmae.batch.days import objects, split
from stmae.storage.base import REQUESTS_AT_ONCE, ObjectMissingError, Store

WORTH_AN_INDEX = 256
"""So many objects read one by one are."""
INDEX = pa.schema(
    [
        pa.field("folder", pa.dictionary(pa.int32(), pa.string()), False),
        pa.field("object", pa.dictionary(pa.int32(), pa.string()), False),
        pa.field("etag", pa.string(), False),
        pa.field("key", pa.dictionary(pa.int32(), pa.string()), False, {"meaning": "of the camera-hour"}),
        pa.field("inputs", pa.string(), False),
        pa.field("statuses", pa.dictionary(pa.int32(), pa.string()), False, {"meaning": "JSON; empty: to do again"}),
    ]
)
Entry = tuple[str, str, str, str, str, str]
"""A row of INDEX."""


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What the tables hold of a plan's units."""

    statuses: Counter[str]
    """The sources of units that are done, by status."""
    left: list[Unit]
    """The other units, in their order. One with a `missing` source is among them."""
    merged: frozenset[tables.Partition]
    """Camera-days with units that are left, and that are compacted."""
    index: pa.Table
    """What is known of coverage objects, as INDEX."""
    read: int
    """Objects that the index did not know."""

    def keep(self, store: Store, model: str) -> None:
        """Writes the index, where that spares the next run more than a few requests."""
        if self.read >= WORTH_AN_INDEX:
            store.put(_path(model), tables.to_parquet(self.index))


def done_units(store: Store, model: str, units: Iterable[Unit]) -> Done:
    """Finds out which units the tables hold. Raises StoreError, ValueError for a compacted day that is none."""
    left: defaultdict[str, dict[str, Unit]] = defaultdict(dict)
    for unit in units:
        left[unit.partition(model).folder("coverage")][unit.key] = unit
    unread = _listed(store, model, left)
    merged = [folder for folder, names in unread.items() if tables.DAY_KEY in names]
    index = _known(store, model, unread)
    fresh = list(_read(store, left, unread))
    if fresh:
        columns = [pa.array(list(column)) for column in zip(*fresh, strict=True)]
        index = pa.concat_tables([index, pa.table(columns, INDEX.names).cast(INDEX)]).unify_dictionaries()
    statuses = Counter[str]()
    for folder, _, _, key, inputs, told in _entries(index):
        named = left.get(folder, {}).get(key)
        if named is not None and told and inputs == inputs_digest(named.stream):
            statuses.update(_counter(told))
            del left[folder][key]
    return Done(
        statuses,
        [unit for hours in left.values() for unit in hours.values()],
        frozenset(unit.partition(model) for folder in merged for unit in list(left[folder].values())[:1]),
        index,
        len({(folder, name) for folder, name, *_ in fresh}),
    )


def _path(model: str) -> str:
    return f"index/model={model}.parquet"


def _listed(store: Store, model: str, wanted: Mapping[str, Mapping[str, Unit]]) -> dict[str, dict[str, str]]:
    """Returns the ETags of coverage objects by folder and by name without the suffix."""
    dates = {folder.rpartition("date=")[2] for folder in wanted}
    folders = sorted(wanted) if len(dates) == 1 else [f"coverage/model={model}/"]  # of one day: not all the others too
    listed: dict[str, dict[str, str]] = {}
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for items in pool.map(lambda folder: objects(store, folder), folders):
            for item in items:
                folder, name = item.path[: item.path.rfind("/") + 1], tables.object_key(item.path)
                if name is not None and folder in wanted:
                    listed.setdefault(folder, {})[sys.intern(name)] = item.etag
    return listed


def _known(store: Store, model: str, unread: dict[str, dict[str, str]]) -> pa.Table:
    """Returns the entries of the index that count, and takes their objects out of `unread`."""
    try:
        index = pq.read_table(io.BytesIO(store.get(_path(model))), schema=INDEX)
    except (ObjectMissingError, pa.ArrowException):  # none yet, or that of another version
        return INDEX.empty_table()
    counts, last = bytearray(), ("", "", "")
    for folder, name, etag, *_ in _entries(index):
        same = unread.get(folder, {}).get(name) == etag
        if same:
            del unread[folder][name]
            last = folder, name, etag
        counts.append(same or last == (folder, name, etag))  # a compacted day has several entries
    return index if all(counts) else index.filter(pa.array(np.frombuffer(counts, np.bool_)))


def _entries(index: pa.Table) -> Iterator[Entry]:
    for batch in index.to_batches(max_chunksize=10_000):
        yield from zip(*map(_strings, batch.columns), strict=True)


def _strings(column: pa.Array) -> list[str]:
    if not pa.types.is_dictionary(column.type):
        return cast("list[str]", column.to_pylist())
    words = column.dictionary.to_pylist()  # far faster than one by one, and each word is there once
    return [words[number] for number in column.indices.to_pylist()]


def _read(
    store: Store, wanted: Mapping[str, Mapping[str, Unit]], unread: Mapping[str, Mapping[str, str]]
) -> Iterator[Entry]:
    """Yields what objects say that may hold wanted units."""
    waiting = [
        (folder, name, etag)
        for folder, names in unread.items()
        for name, etag in names.items()
        if name == tables.DAY_KEY or name in wanted[folder]
    ]

    def entries(folder: str, name: str, etag: str) -> list[Entry]:
        data = store.get(f"{folder}{name}.parquet")
        columns = ["inputs", "source", "status"]
        alone = name != tables.DAY_KEY
        hours = {name: pq.read_table(io.BytesIO(data), columns=columns)} if alone else split(data, columns)
        return [(folder, name, etag, key, *_told(rows)) for key, rows in hours.items()]

    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for found in pool.map(entries, *zip(*waiting, strict=True)) if waiting else ():
            yield from found


def _told(rows: pa.Table) -> tuple[str, str]:
    """Returns the digest and the statuses that coverage rows of a camera-hour tell, empty where it is not done."""
    told = rows.to_pylist()
    inputs = {row["inputs"] for row in told}
    if len(inputs) != 1 or any(row["status"] == "missing" for row in told):
        return "", ""
    counts = Counter(row["status"] for row in told if row["source"] is not None)
    return inputs.pop(), json.dumps(counts, sort_keys=True)


@functools.lru_cache(maxsize=4096)
def _counter(statuses: str) -> Counter[str]:
    return Counter(json.loads(statuses))
