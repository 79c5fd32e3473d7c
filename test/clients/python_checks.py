"""What the Python clients share: a check is a function; each prints one JSON line."""
import json
import sys
import traceback

_checks = []


def check(fn):
    _checks.append((fn.__name__.replace("_", " "), fn))
    return fn


def add(name, fn):
    _checks.append((name, fn))


def run():
    failed = False
    for name, fn in _checks:
        try:
            fn()
            print(json.dumps({"name": name, "ok": True}), flush=True)
        except BaseException:
            failed = True
            print(json.dumps({"name": name, "ok": False, "why": traceback.format_exc()}), flush=True)
    sys.exit(1 if failed else 0)
