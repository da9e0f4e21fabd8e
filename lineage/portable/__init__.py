"""One file for a colleague: packing, checks of a file from elsewhere, merging, filling in what was left out."""
