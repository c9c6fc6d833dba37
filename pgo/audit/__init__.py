"""What happened, by whom: the catalogue of events and the trail."""
