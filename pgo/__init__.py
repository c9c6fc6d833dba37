"""A personal health record backend (PGO) with FHIR interfaces; see README.md for the map."""

__version__ = "0.1.0"
