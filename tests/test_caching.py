"""What is computed from a record is kept by it, and freed with it."""

import copy
import gc
import pickle
import weakref
from dataclasses import dataclass

from symflow.caching import Keeper, kept


@dataclass(frozen=True)
class Record(Keeper):
    value: int


class Made:
    def __init__(self, record: Record) -> None:
        self.record = record  # a circle, as compiled functions of a record make


@kept
def made(record: Record, name: str = "") -> Made:
    return Made(record)


def test_results_are_kept_by_arguments() -> None:
    record = Record(1)
    assert made(record) is made(record)
    assert made(record, "a") is made(record, "a")
    assert made(record, "a") is not made(record, "b")
    assert made(record) is not made(Record(1))


def test_what_is_kept_is_freed_with_its_record() -> None:
    record = Record(1)
    gone = weakref.ref(made(record))
    del record
    gc.collect(1)  # what is new: all else that a run of tests has made would take a second
    assert gone() is None


def test_what_is_kept_is_no_part_of_the_record() -> None:
    record = Record(1)
    made(record)
    for other in (copy.copy(record), pickle.loads(pickle.dumps(record))):
        assert other == record
        assert "_kept" not in other.__dict__
