"""Who may say what gateways load: keys, roles, and the signed repository (docs/adr/0006-trust-and-transport.md)."""
