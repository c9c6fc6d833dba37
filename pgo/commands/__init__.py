"""The commands of the operator, a module per subject; thin: parse, call, print."""
