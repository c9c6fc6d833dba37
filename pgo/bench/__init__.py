"""Speed, measured as ratios in one run; the list is in `pgo.bench.all`. No part of the server."""
