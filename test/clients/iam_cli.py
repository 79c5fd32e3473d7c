"""The AWS CLI, call after call in one process: steps come as JSON on stdin, one JSON line an answer goes out."""
import contextlib
import io
import json
import os
import sys

from awscli.clidriver import create_clidriver

kept = {}


def filled(word):
    for name, value in kept.items():
        word = word.replace("$" + name, value)
    return word


for step in json.load(sys.stdin):
    user = {"AWS_ACCESS_KEY_ID": kept["key"], "AWS_SECRET_ACCESS_KEY": kept["secret"]} if step.get("asUser") else {}
    before = dict(os.environ)
    os.environ.update(user)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = create_clidriver().main([filled(word) for word in step["ask"].split(" ")])
        except SystemExit as end:
            status = end.code
    os.environ.update(before)
    answer = json.loads(out.getvalue() or "{}")
    for name, path in step.get("keep", {}).items():
        value = answer
        for member in path.split("."):
            value = value.get(member, {})
        kept[name] = str(value)
    print(json.dumps({"ask": step["ask"], "status": status, "error": err.getvalue(), "answer": answer}), flush=True)
