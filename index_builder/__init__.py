"""From sources to a release: read, parse, chunk, embed, group by family, write shards, publish."""
