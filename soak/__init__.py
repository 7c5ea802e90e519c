"""Minutes of everything at once against real servers, every answer checked: `scripts/soak`.

It is a test that runs long, and uses what the tests have in `tests/support`.
"""
