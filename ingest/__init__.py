"""Sources and parsers: bytes become documents with provenance, documents become passages and figures."""
