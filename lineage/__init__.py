"""lineage: runs, artifacts, their versions and the edges between them, in one project file."""
