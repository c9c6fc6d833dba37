"""The engine of one client's record: keys, bodies, log, image, open dossiers."""
