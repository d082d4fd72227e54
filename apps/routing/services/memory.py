"""What waits, as the router remembers it: by id, with sums by which it is compared with the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from .feed import BUCKET, Waiting


class Memory:
    def __init__(self) -> None:
        self._buckets: dict[int, dict[int, Waiting]] = defaultdict(dict)
        self._traces: dict[int, int] = defaultdict(int)

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def get(self, item_id: int) -> Waiting | None:
        bucket = self._buckets.get(item_id // BUCKET)
        return bucket.get(item_id) if bucket else None

    def put(self, waiting: Waiting) -> None:
        self.forget(waiting.item.id)
        self._buckets[waiting.bucket][waiting.item.id] = waiting
        self._traces[waiting.bucket] += waiting.trace

    def forget(self, item_id: int) -> Waiting | None:
        number = item_id // BUCKET
        waiting = self._buckets[number].pop(item_id, None)
        if waiting:
            self._traces[number] -= waiting.trace
        if not self._buckets[number]:
            del self._buckets[number]
            self._traces.pop(number, None)
        return waiting

    def in_bucket(self, number: int) -> Iterator[int]:
        return iter(list(self._buckets.get(number, ())))

    def differing(self, theirs: dict[int, tuple[int, int]]) -> set[int]:
        """The buckets that are not as the database's (number of items, sum of traces) say."""
        mine = {number: (len(bucket), self._traces[number]) for number, bucket in self._buckets.items()}
        return {number for number in mine.keys() | theirs.keys() if mine.get(number) != theirs.get(number)}
