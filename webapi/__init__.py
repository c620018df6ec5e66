"""The HTTP interface, once: the cluster's ingress and the gateway serve the same routes over their own stages."""

from webapi.app import create_api
from webapi.service import Service
from webapi.settings import HttpSettings

__all__ = ["HttpSettings", "Service", "create_api"]
