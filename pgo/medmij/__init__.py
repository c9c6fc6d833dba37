"""Exchange per service (gegevensdienst), the MedMij way: what is offered, and nothing more."""
