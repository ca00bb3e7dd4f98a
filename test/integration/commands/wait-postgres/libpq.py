# What libpq makes of connection strings: `libpq.py LIBRARY < cases.json`, each {"url": …, "environment": {…}}.
# It gives what each parameter came to be, with the variables and libpq's own defaults.
# It really connects, to closed ports of 127.0.0.0/8 and to sockets that do not exist, and names each server it tried.
import ctypes
import json
import os
import re
import sys

text = lambda value: (value or b"").decode("utf8", "replace")
library = ctypes.CDLL(sys.argv[1])
library.PQconnectdb.restype = ctypes.c_void_p
library.PQconnectdb.argtypes = [ctypes.c_char_p]
for name in ("PQerrorMessage", "PQuser", "PQdb", "PQpass"):
    getattr(library, name).restype = ctypes.c_char_p
    getattr(library, name).argtypes = [ctypes.c_void_p]
library.PQfinish.argtypes = [ctypes.c_void_p]


class Option(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    ]


library.PQconninfo.restype = ctypes.POINTER(Option)
library.PQconninfo.argtypes = [ctypes.c_void_p]
library.PQconninfoFree.argtypes = [ctypes.POINTER(Option)]


def parameters(connection):
    options = library.PQconninfo(connection)
    found = {}
    index = 0
    while options and options[index].keyword:
        found[options[index].keyword.decode()] = text(options[index].val)
        index += 1
    library.PQconninfoFree(options)
    return found


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
            "parameters": parameters(connection),
            "problem": "" if tried else said.strip(),
        }
    )
    library.PQfinish(connection)
json.dump(answers, sys.stdout)
