"""Where sealed dossiers live: the contract and its backends."""
