"""What can go wrong in a benchmark, other than being slow."""


class BenchError(Exception):
    """A server does not start, a tool is missing, or an answer was wrong."""
