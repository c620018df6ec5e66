"""The tree of errors: stable codes and statuses, and every error crosses a process border whole."""

from __future__ import annotations

import copy
import inspect

import pytest

from lineside import errors
from lineside.errors import LinesideError, RequestError, Unavailable

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LinesideError)]


@pytest.mark.parametrize("kind", TREE)
def test_the_tree_in_the_docstring_names_every_error(kind: type[LinesideError]) -> None:
    assert f"{kind.__name__} " in (errors.__doc__ or "").replace("\n", " ")


@pytest.mark.parametrize("kind", TREE)
def test_what_the_caller_can_mend_is_4xx_and_nothing_else_is(kind: type[LinesideError]) -> None:
    assert (400 <= kind.status < 500) == issubclass(kind, RequestError)


def test_codes_and_statuses_that_clients_rely_on() -> None:
    assert {kind.__name__: (kind.code, kind.status) for kind in TREE} == {
        "LinesideError": ("error", 500),
        "RequestError": ("invalid_request", 400),
        "InvalidRequest": ("invalid_request", 422),
        "TooLarge": ("too_large", 413),
        "UnsupportedImage": ("unsupported_image", 415),
        "Conflict": ("conflict", 409),
        "NotFound": ("not_found", 404),
        "Unavailable": ("unavailable", 503),
        "Overloaded": ("overloaded", 503),
        "NotReady": ("not_ready", 503),
        "StoreUnavailable": ("store_unavailable", 503),
        "DeadlineExceeded": ("deadline_exceeded", 504),
        "ConfigurationError": ("configuration", 500),
        "DataError": ("data", 500),
        "ParseError": ("parse", 500),
        "ShardError": ("shard", 500),
        "IntegrityError": ("integrity", 500),
        "BelowBar": ("below_bar", 500),
        "GenerationError": ("generation", 502),
    }


@pytest.mark.parametrize("kind", TREE)
def test_an_error_is_the_same_on_the_other_side_of_a_process_border(kind: type[LinesideError]) -> None:
    there = copy.deepcopy(kind("no such pump"))  # by __reduce_ex__, as every serialiser
    assert type(there) is kind
    assert str(there) == "no such pump"


@pytest.mark.parametrize("kind", [kind for kind in TREE if issubclass(kind, Unavailable)])
def test_the_seconds_to_wait_cross_it_too(kind: type[Unavailable]) -> None:
    there = copy.deepcopy(kind("full", retry_after_s=7.5))
    assert there.retry_after_s == 7.5
