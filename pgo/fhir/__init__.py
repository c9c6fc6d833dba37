"""FHIR R4 and STU3: texts, validation, search, bundles, capability."""
