"""The gateways of a plant as one: who holds what, how a release reaches them all, and how they are (docs/fleet.md)."""
