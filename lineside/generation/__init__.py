"""Language models behind one interface: vLLM on the cluster, llama.cpp on gateways and small machines."""

from lineside.generation.contract import Generator, Message, Sampling

__all__ = ["Generator", "Message", "Sampling"]
