"""Sends bytes to a server and expects them back: TCP, and UDP that the kernel cuts into datagrams.

usage: echo_all.py serve      on port 9000, until it is killed
       echo_all.py ADDRESS... exit status 0 when all came back and no checksum was wrong
"""
import os
import socket
import sys
import threading
import time

PORT, STREAM, PART, PARTS = 9000, 1 << 20, 1000, 20
UDP_SEGMENT = 103  # linux/udp.h


def answer_datagrams():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        udp.bind(("::", PORT))
        while True:
            udp.sendto(*udp.recvfrom(65536))


def serve():
    threading.Thread(target=answer_datagrams, daemon=True).start()
    listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(read_all(connection))


def read_all(connection):
    data = bytearray()
    while part := connection.recv(1 << 16):
        data += part
    return data


def connect(address):
    for _ in range(100):
        try:
            return socket.create_connection((address, PORT), 10)
        except ConnectionRefusedError:  # It has only just been started.
            time.sleep(0.05)
    sys.exit(f"nobody listens at {address}")


def try_stream(address):
    data = os.urandom(STREAM)
    with connect(address) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        if read_all(connection) != data:
            sys.exit(f"TCP to {address}: other bytes came back")


def try_datagrams(address):
    data = os.urandom(PART * PARTS)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(10)
        udp.connect((address, PORT))
        udp.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, PART)
        udp.send(data)
        if b"".join(udp.recv(65536) for _ in range(PARTS)) != data:
            sys.exit(f"UDP to {address}: other bytes came back")


def wrong_checksums():
    with open("/proc/net/snmp", encoding="ascii") as f:
        rows = [line.split() for line in f if line.startswith(("Tcp:", "Udp:"))]
    return sum(int(dict(zip(names, values))["InCsumErrors"]) for names, values in zip(rows[::2], rows[1::2]))


if sys.argv[1] == "serve":
    serve()
for place in sys.argv[1:]:
    try_stream(place)
    try_datagrams(place)
if wrong_checksums() != 0:
    sys.exit(f"{wrong_checksums()} packets had a wrong checksum")
