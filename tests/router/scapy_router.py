#!/usr/bin/python3
"""An outside tester of `wh router`: scapy writes packets to one cable and reads what comes out of the other.

usage: scapy_router.py BIN_DIR       exit status 0, 1 with what was wrong, 77 (skipped) with the reason

Two cables lead from a namespace of this script's own to the router's. Nothing but packet sockets is at this end, so
every answer is the router's. Each check says in its name what RFC or manner it holds the router to.
"""
import os
import select
import socket
import subprocess
import sys
import tempfile
import time

try:
    from scapy.all import ARP, ICMP, IP, TCP, UDP, Ether, ICMPv6EchoRequest, ICMPv6EchoReply, ICMPv6ND_NA, ICMPv6ND_NS
    from scapy.all import ICMPv6NDOptSrcLLAddr, IPv6, IPerror, Raw, fragment
except ImportError:
    print("skipped: needs python3-scapy")
    sys.exit(77)

MACS = {"t0": "02:00:00:00:00:10", "t1": "02:00:00:00:00:11"}
SELF = {"t0": "10.1.0.2", "t1": "10.2.0.2"}
problems = []


def run(*words, **kw):
    return subprocess.run(words, check=True, **kw)


class Wire:
    """This end of a cable: whole Ethernet frames, without any stack."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((name, 0))
        self.socket.setblocking(False)

    def send(self, packet):
        self.socket.send(bytes(packet))

    def read(self, wanted, seconds=1.0):
        """The first packet for which wanted() holds, answering the router's ARP and ND on the way; else None."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                break
            data, address = self.socket.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            packet = Ether(data)
            if ARP in packet and packet[ARP].op == 1 and packet[ARP].pdst == SELF[self.name]:
                self.send(Ether(src=MACS[self.name], dst=packet.src)
                          / ARP(op=2, hwsrc=MACS[self.name], psrc=SELF[self.name], hwdst=packet.src,
                                pdst=packet[ARP].psrc))
            elif wanted(packet):
                return packet
        return None


def check(what, holds):
    print(("ok      " if holds else "WRONG   ") + what)
    if not holds:
        problems.append(what)


def sums_hold(packet):
    """Whether every checksum in the packet is what scapy computes for it."""
    whole = bytes(packet[IP])
    fresh = packet[IP].copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in fresh:
            del fresh[layer].chksum
    return bytes(IP(bytes(fresh)))[:len(whole)] == whole


def frame(payload, wire="t0"):
    return Ether(src=MACS[wire], dst=router_mac[wire]) / payload


def checks(t0, t1):
    # --- ARP (RFC 826) ---
    for wire, address in ((t0, "10.1.0.1"), (t1, "10.2.0.1")):
        wire.send(Ether(src=MACS[wire.name], dst="ff:ff:ff:ff:ff:ff")
                  / ARP(op=1, hwsrc=MACS[wire.name], psrc=SELF[wire.name], pdst=address))
        answer = wire.read(lambda p: ARP in p and p[ARP].op == 2)
        check(f"ARP: who has {address} is answered", answer is not None and answer[ARP].psrc == address)
        if answer is None:
            return
        router_mac[wire.name] = answer[ARP].hwsrc
        check("ARP: the answer is sent by whom it names", answer.src == answer[ARP].hwsrc)
    t0.send(Ether(src=MACS["t0"], dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, psrc="10.1.0.2", pdst="10.1.0.77"))
    check("ARP: an address of nobody is not answered", t0.read(lambda p: ARP in p and p[ARP].op == 2, 0.2) is None)

    # --- ICMP echo (RFC 792) ---
    t0.send(frame(IP(src="10.1.0.2", dst="10.1.0.1", ttl=9) / ICMP(id=7, seq=3) / Raw(b"abc" * 33)))
    reply = t0.read(lambda p: ICMP in p and p[ICMP].type == 0)
    check("ICMP: echo is answered with the same data",
          reply is not None and bytes(reply[Raw].load) == b"abc" * 33 and reply[ICMP].id == 7)
    check("ICMP: the reply's checksums hold", reply is not None and sums_hold(reply))

    # --- forwarding: TTL and checksums (RFC 1812 section 5) ---
    for name, upper in (("UDP", UDP(sport=5, dport=6) / Raw(b"x" * 31)), ("TCP", TCP(sport=5, dport=6) / Raw(b"y")),
                        ("ICMP", ICMP(id=9) / Raw(b"z" * 8))):
        t0.send(frame(IP(src="10.1.0.2", dst="10.2.0.2", ttl=17, id=99) / upper))
        out = t1.read(lambda p: IP in p and p[IP].id == 99)
        check(f"{name}: is forwarded with its TTL one less", out is not None and out[IP].ttl == 16)
        check(f"{name}: checksums hold behind the router", out is not None and sums_hold(out))
        check(f"{name}: leaves from the router's address to the neighbour's",
              out is not None and (out.src, out.dst) == (router_mac["t1"], MACS["t1"]))
    bad = IP(bytes(IP(src="10.1.0.2", dst="10.2.0.2", id=98) / UDP() / Raw(b"q")))
    bad.chksum ^= 0x0100
    t0.send(frame(bad))
    check("IP: a wrong header checksum is not forwarded", t1.read(lambda p: IP in p and p[IP].id == 98, 0.3) is None)
    t0.send(Ether(src=MACS["t0"], dst="02:ff:ff:ff:ff:fe") / IP(src="10.1.0.2", dst="10.2.0.2", id=97) / UDP())
    check("IP: a frame for another MAC address is not forwarded",
          t1.read(lambda p: IP in p and p[IP].id == 97, 0.3) is None)

    # --- ICMP errors (RFC 792, RFC 1812 section 4.3) ---
    sent = IP(src="10.1.0.2", dst="10.2.0.2", ttl=1, id=55) / UDP(sport=4, dport=5) / Raw(b"hello")
    t0.send(frame(sent))
    error = t0.read(lambda p: ICMP in p and p[ICMP].type == 11)
    check("ICMP: TTL 1 brings time exceeded, from the near side",
          error is not None and error[IP].src == "10.1.0.1" and error[ICMP].code == 0)
    check("ICMP: the error quotes the packet and its first bytes",
          error is not None and IPerror in error and error[IPerror].id == 55 and error[IPerror].dst == "10.2.0.2")
    check("ICMP: the error's checksums hold", error is not None and sums_hold(IP(bytes(error[IP]))))
    t0.send(frame(IP(src="10.1.0.2", dst="203.0.113.9") / UDP()))
    error = t0.read(lambda p: ICMP in p and p[ICMP].type == 3)
    check("ICMP: no route brings unreachable", error is not None and error[ICMP].code in (0, 1))
    t0.send(frame(IP(src="10.1.0.2", dst="10.1.0.1") / UDP(dport=999)))
    error = t0.read(lambda p: ICMP in p and p[ICMP].type == 3)
    check("ICMP: a closed port brings port unreachable", error is not None and error[ICMP].code == 3)
    t0.send(frame(IP(src="10.1.0.2", dst="10.2.0.2", ttl=1) / ICMP(type=11)))
    check("ICMP: no error about an error", t0.read(lambda p: ICMP in p and p[ICMP].type == 11, 0.3) is None)

    # --- fragments: the far side's MTU is 600 (RFC 791, RFC 1191) ---
    data = bytes(range(256)) * 5
    t0.send(frame(IP(src="10.1.0.2", dst="10.2.0.2", id=44, flags=0) / UDP(sport=1, dport=2) / Raw(data)))
    parts = []
    while (p := t1.read(lambda p: IP in p and p[IP].id == 44, 0.4)) is not None:
        parts.append(p)
    whole = b"".join(bytes(p[IP].payload) for p in sorted(parts, key=lambda p: p[IP].frag))
    check("fragments: of at most 600 bytes, in multiples of 8",
          len(parts) == 3 and all(len(p[IP]) <= 600 for p in parts)
          and all(len(p[IP].payload) % 8 == 0 for p in parts if p[IP].flags.MF))
    check("fragments: together they are what was sent", whole[8:] == data)
    t0.send(frame(IP(src="10.1.0.2", dst="10.2.0.2", id=45, flags="DF") / UDP() / Raw(data)))
    error = t0.read(lambda p: ICMP in p and p[ICMP].type == 3)
    check("fragments: DF brings 'fragmentation needed' with the MTU",
          error is not None and error[ICMP].code == 4 and error[ICMP].nexthopmtu == 600)
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        pieces = fragment(IP(src="10.1.0.2", dst="10.1.0.1", id=60 + order[0]) / ICMP(id=order[0]) / Raw(data),
                          fragsize=480)
        for at in order:
            t0.send(frame(pieces[at]))
        reply = t0.read(lambda p: ICMP in p and p[ICMP].type == 0 or IP in p and p[IP].frag > 0)
        check(f"reassembly: fragments in order {order} make one echo request", reply is not None)

    # --- IPv6 (RFC 4861, RFC 8200) ---
    t0.send(Ether(src=MACS["t0"], dst="33:33:ff:00:00:01")
            / IPv6(src="2001:db8:1::2", dst="ff02::1:ff00:1", hlim=255)
            / ICMPv6ND_NS(tgt="2001:db8:1::1") / ICMPv6NDOptSrcLLAddr(lladdr=MACS["t0"]))
    advert = t0.read(lambda p: ICMPv6ND_NA in p)
    check("ND: a solicitation is answered", advert is not None and advert[ICMPv6ND_NA].tgt == "2001:db8:1::1")
    t0.send(frame(IPv6(src="2001:db8:1::2", dst="2001:db8:1::1") / ICMPv6EchoRequest(id=3, data=b"six")))
    reply = t0.read(lambda p: ICMPv6EchoReply in p)
    check("ICMPv6: echo is answered", reply is not None and reply[ICMPv6EchoReply].data == b"six")


router_mac = {}


def main():
    binaries = os.path.realpath(sys.argv[1])
    space = f"whscapy{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", space], capture_output=True).returncode != 0:
        print("skipped: needs the right to make network namespaces")
        return 77
    router = None
    try:
        os.unshare(os.CLONE_NEWNET) if hasattr(os, "unshare") else unshare_network()
        for far, near in (("e0", "t0"), ("e1", "t1")):
            run("ip", "link", "add", near, "address", MACS[near], "type", "veth", "peer", far, "netns", space)
            run("sysctl", "-qw", f"net.ipv6.conf.{near}.disable_ipv6=1")
            run("ip", "link", "set", near, "up")
        run("ip", "netns", "exec", space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/setup", "w", encoding="ascii") as setup:
                setup.write("create host-interface name e0\ncreate host-interface name e1\n"
                            "set int ip addr host-e0 10.1.0.1/24\nset int ip addr host-e1 10.2.0.1/24\n"
                            "set int ip addr host-e0 2001:db8:1::1/64\n"
                            "set int mtu packet 600 host-e1\n"
                            "set int state host-e0 up\nset int state host-e1 up\n")
            router = subprocess.Popen(["ip", "netns", "exec", space, f"{binaries}/wh", "router", "unix", "{",
                                       "nodaemon", "exec", f"{folder}/setup", "cli-listen", f"{folder}/cli", "}"])
            for _ in range(500):
                ready = subprocess.run([f"{binaries}/wh", "vppctl", "-s", f"{folder}/cli", "show", "version"],
                                       capture_output=True)
                if ready.returncode == 0:
                    break
                time.sleep(0.02)
            checks(Wire("t0"), Wire("t1"))
            if router.poll() is not None:
                problems.append(f"the router ended with status {router.returncode}")
            router.terminate()
            router.wait()
    finally:
        if router is not None and router.poll() is None:
            router.kill()
        subprocess.run(["ip", "netns", "del", space])
    print(f"{len(problems)} wrong" if problems else "all right")
    return 1 if problems else 0


def unshare_network():
    import ctypes
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


sys.exit(main())
