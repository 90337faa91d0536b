#!/usr/bin/python3
"""Types at the prompt of `wh router` on a pseudo terminal: editing, completion, help, history, Ctrl-C.

usage: prompt.py BIN_DIR     exit status 0, or 1 with what was not seen
"""
import os
import pty
import select
import sys
import tempfile
import time


class Terminal:
    def __init__(self, *words):
        self.child, self.fd = pty.fork()
        if self.child == 0:
            os.execv(words[0], words)
        self.seen = ""

    def type(self, text):
        self.seen = ""
        os.write(self.fd, text.encode())

    def expect(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"did not see {text!r} but {self.seen!r}")
            try:
                data = os.read(self.fd, 4096)
            except OSError:  # The other end is closed.
                data = b""
            if not data and text not in self.seen:
                sys.exit(f"it ended; did not see {text!r} but {self.seen!r}")
            self.seen += data.decode(errors="replace")
        self.seen = self.seen.split(text, 1)[1]  # What is expected next comes behind it.
        print("ok     ", repr(text))


def main():
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(HOME=home, TERM="xterm")
        t = Terminal(f"{sys.argv[1]}/wh", "router", "unix { interactive} plugins { plugin default { disable } plugin\n"
                     "netmap_plugin.so { enable } plugin ping_plugin.so { enable } }")
        t.expect("vpp# ")
        t.type("show int\r")
        t.expect("MTU (L3/IP4/IP6/MPLS)")
        t.expect("local0")
        t.expect("vpp# ")
        t.type("sh ver\t")  # Completes the word, and a space.
        t.expect("sion ")
        t.type("\r")
        t.expect("wheelhouse v")
        t.expect("vpp# ")
        t.type("show in?")
        t.expect("interface")
        t.type("\x15set int sta\t")  # Kills the line; then another.
        t.expect("te ")
        t.type("\x15\x1b[A")  # Up: the line before.
        t.expect("sh version")
        t.type("\r")
        t.expect("wheelhouse v")
        t.expect("vpp# ")
        t.type("show nonsense\r")
        t.expect("unknown input 'nonsense'")
        t.expect("vpp# ")
        t.type("\x03show int addr\r")  # Ctrl-C at the prompt does no harm.
        t.expect("local0 (dn):")
        t.expect("vpp# ")
        for _ in range(3):  # And when it comes alone, it takes along what was typed.
            t.type("show nonsense")
            t.expect("nonsense")
            t.type("\x03")
            t.expect("vpp# ")
        t.type("show int addr\r")
        t.expect("local0 (dn):")
        t.expect("vpp# ")
        t.type("ping 127.0.0.9 repeat 1000\r")  # While a command runs it ends that.
        time.sleep(0.3)
        t.type("\x03")
        t.expect("vpp# ")
        t.type("sh ver\r")
        t.expect("wheelhouse v")
        t.expect("vpp# ")
        t.type("set acl-plugin acl permit tag grün\r")  # What is typed is UTF-8, whatever the locale.
        t.expect("ACL index:0")
        t.type("show acl-plugin acl\r")
        t.expect("tag {grün}")
        t.expect("vpp# ")
        t.type("qu\r")
        status = os.waitpid(t.child, 0)[1]
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"ended with {os.waitstatus_to_exitcode(status)}")
        with open(f"{home}/.wheelhouse_history", encoding="utf-8") as history:
            if "show\\040int" not in history.read().replace(" ", "\\040"):
                sys.exit("the history was not kept")
    print("all right")


main()
