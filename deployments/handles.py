"""Calls between deployments: Ray's errors become Lineside's, and a call lost with its replica is made once more."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import structlog
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from lineside.errors import LinesideError, NotReady, Overloaded, Unavailable

log = structlog.get_logger("lineside.handles")

_LOST = (ActorDiedError, ActorUnavailableError, RayActorError)
# Above this an argument travels through the object store: messages between replicas are limited to 4 MB.
_BY_REFERENCE_BYTES = 1_000_000


async def call(handle: DeploymentHandle, method: str, *args: Any, stage: str) -> Any:
    """The result of a method of a deployment. Methods called so are free of side effects, so a lost call is repeated.

    Raises:
        LinesideError: as the method raised it; Unavailable where no replica could do it.
    """
    large = any(isinstance(arg, bytes) and len(arg) > _BY_REFERENCE_BYTES for arg in args)
    bound = getattr(handle.options(_by_reference=True) if large else handle, method)
    for attempt in (1, 2):
        try:
            return await bound.remote(*args)
        except _LOST as error:
            if attempt == 2:
                raise NotReady(f"{stage}: its replica went away twice; it is being restarted", 5.0) from error
            log.warning("replica_lost", stage=stage, error=type(error).__name__)
        except BackPressureError as error:
            raise Overloaded(f"{stage} has no room for more requests", 1.0) from error
        except DeploymentUnavailableError as error:
            raise NotReady(f"{stage} is not there: its deployment failed to start", 10.0) from error
        except RayTaskError as error:
            raise _own(error, stage) from error
    raise AssertionError("unreachable")


async def stream(handle: DeploymentHandle, method: str, *args: Any, stage: str) -> AsyncGenerator[Any]:
    """The items of a generator method. Closing this iterator cancels the call in its replica.

    Raises:
        LinesideError: as `call` does; nothing is repeated, since items may have been consumed.
    """
    response = getattr(handle.options(stream=True), method).remote(*args)
    try:
        async for item in response:
            yield item
    except _LOST as error:
        raise NotReady(f"{stage}: its replica went away; it is being restarted", 5.0) from error
    except BackPressureError as error:
        raise Overloaded(f"{stage} has no room for more requests", 1.0) from error
    except DeploymentUnavailableError as error:
        raise NotReady(f"{stage} is not there: its deployment failed to start", 10.0) from error
    except RayTaskError as error:
        raise _own(error, stage) from error
    finally:
        response.cancel()


def _own(error: RayTaskError, stage: str) -> LinesideError:
    cause = error.cause
    if isinstance(cause, LinesideError):
        return cause
    log.error("stage_failed", stage=stage, error=str(cause))
    return Unavailable(f"{stage} failed: {type(cause).__name__}", 1.0)
