# What libpq makes of connection strings: `libpq.py LIBRARY < cases.json`, each {"url": …, "environment": {…}}.
# It really connects, to closed ports of 127.0.0.0/8 and to sockets that do not exist, and names each server it tried.
import ctypes
import json
import os
import re
import sys

library = ctypes.CDLL(sys.argv[1])
library.PQconnectdb.restype = ctypes.c_void_p
library.PQconnectdb.argtypes = [ctypes.c_char_p]
for name in ("PQerrorMessage", "PQuser", "PQdb", "PQpass"):
    getattr(library, name).restype = ctypes.c_char_p
    getattr(library, name).argtypes = [ctypes.c_void_p]
library.PQfinish.argtypes = [ctypes.c_void_p]

text = lambda value: (value or b"").decode("utf8", "replace")
variables = set()
answers = []
for case in json.load(sys.stdin):
    for name in variables:
        os.environ.pop(name, None)
    variables = set(case["environment"])
    os.environ.update(case["environment"])
    connection = library.PQconnectdb(case["url"].encode())
    said = text(library.PQerrorMessage(connection))
    tried = [
        a or f"{b}:{c}"
        for a, b, c in re.findall(r'connection to server (?:on socket "([^"]*)"|at "([^"]*)"[^,]*, port (\d+)) failed', said)
    ]
    answers.append(
        {
            "tried": tried,
            "user": text(library.PQuser(connection)),
            "database": text(library.PQdb(connection)),
            "password": text(library.PQpass(connection)),
            "problem": "" if tried else said.strip(),
        }
    )
    library.PQfinish(connection)
json.dump(answers, sys.stdout)
