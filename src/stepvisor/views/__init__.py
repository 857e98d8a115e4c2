"""Ways to show a trace. No computation here: columns in, text out."""
