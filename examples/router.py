#!/usr/bin/env python3
"""Talks to a running router over its socket: methods as in `wh router --schema`.

usage: router.py SOCKET            shows interfaces and their addresses
       router.py SOCKET METHOD [NAME=VALUE...]
       e.g. router.py cli.sock "set interface state" interface=tap0 up=true
            router.py cli.sock "ip route add" prefix=10.9.0.0/16 'paths=[{"via": "10.2.0.2", "weight": 3}]'
"""
import json
import socket
import sys


class Router:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rw", encoding="utf-8")

    def call(self, method, **params):
        self.lines.write(json.dumps({"method": method, "params": params}) + "\n")
        self.lines.flush()
        while True:
            answer = json.loads(self.lines.readline())
            if "output" in answer:
                print(answer["output"], end="")
            elif answer["ok"]:
                return answer["result"]
            else:
                raise RuntimeError(answer["error"])


def main():
    router = Router(sys.argv[1])
    if len(sys.argv) == 2:
        for row in router.call("show interface address"):
            print(row["name"], "up" if row["up"] else "down", *(a["prefix"] for a in row["addresses"]))
        return
    values = dict(word.split("=", 1) for word in sys.argv[3:])
    params = {name: json.loads(value) if value[:1] == "[" or value == "true" else value for name, value in values.items()}
    try:
        print(json.dumps(router.call(sys.argv[2], **params), indent=2))
    except RuntimeError as error:
        sys.exit(f"router.py: {error}")


if __name__ == "__main__":
    main()
