"""A cell of the demo plant on one machine: store, broker, cluster and two gateways, and a cable that can be pulled."""
