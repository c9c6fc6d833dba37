"""Who may do what with whose dossier."""
