"""Values with more to them than JSON: tables, images, HTML, histograms."""
