"""Starts redis-server, sends it commands from 16 clients at once, and stops it.

Usage: serve.py FOLDER REDIS-SERVER [OPTION...]

What SERVER_PRELOAD names is preloaded into the server alone. Each client has keys of its own and
sends the same commands each time; so replies are the same whatever the order between clients, and
their digests are printed.
"""

import hashlib
import os
import random
import socket
import subprocess
import sys
import time

CLIENTS = 16
ROUNDS = 60


def encoded(*words):
    """A command as the protocol has it."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def commands(draw, client):
    """One round of a client: some of each kind, of sizes that differ."""
    key = lambda kind: f"{client}:{kind}:{draw.randrange(40)}"
    yield "SET", key("text"), "x" * int(draw.paretovariate(0.7) % 4000)
    yield "GET", key("text")
    yield "APPEND", key("text"), "y" * draw.randrange(200)
    yield "HSET", key("hash"), f"field{draw.randrange(300)}", draw.randrange(10**9)
    yield "HGET", key("hash"), f"field{draw.randrange(300)}"
    yield "RPUSH", key("list"), "z" * draw.randrange(90), draw.randrange(99)
    yield "LPOP", key("list")
    yield "ZADD", key("rank"), draw.randrange(1000), f"member{draw.randrange(500)}"
    yield "ZRANGEBYSCORE", key("rank"), 200, 400
    yield "DEL", key(draw.choice(["text", "hash", "list", "rank"]))


def reply(file):
    """One reply, whole, as bytes."""
    line = file.readline()
    if line[:1] == b"$" and line != b"$-1\r\n":
        return line + file.read(int(line[1:]) + 2)
    if line[:1] == b"*":
        return line + b"".join(reply(file) for _ in range(max(int(line[1:]), 0)))
    return line


def connected(path):
    """A connection to the server, once it listens."""
    for _ in range(400):
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(path)
            return client
        except OSError:
            client.close()
            time.sleep(0.05)
    sys.exit("the server does not listen")


def main():
    folder, server = sys.argv[1], sys.argv[2:]
    path = os.path.join(folder, "redis.sock")
    preload = os.environ.pop("SERVER_PRELOAD", "")
    environment = {**os.environ, **({"LD_PRELOAD": preload} if preload else {})}
    process = subprocess.Popen(
        [*server, "--port", "0", "--unixsocket", path], env=environment, stdout=subprocess.DEVNULL
    )
    clients = [connected(path) for _ in range(CLIENTS)]
    files = [client.makefile("rb") for client in clients]
    draws = [random.Random(number) for number in range(CLIENTS)]
    digests = [hashlib.sha256() for _ in range(CLIENTS)]
    for _ in range(ROUNDS):
        # All have sent before any reads: the server has sixteen clients to serve at once.
        sent = [list(commands(draw, number)) for number, draw in enumerate(draws)]
        for client, batch in zip(clients, sent):
            client.sendall(b"".join(encoded(*command) for command in batch))
        for file, batch, digest in zip(files, sent, digests):
            for _ in batch:
                digest.update(reply(file))
    for number, digest in enumerate(digests):
        print(number, digest.hexdigest()[:16])
    clients[0].sendall(encoded("SHUTDOWN", "NOSAVE"))
    sys.exit(process.wait())


main()
