"""What waves do: pure host functions in NumPy and SciPy, called once per geometry."""
