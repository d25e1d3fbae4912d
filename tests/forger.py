"""Another process of the same user that plays a front end, written from the description of the channel alone: frames of a
big-endian length and JSON-RPC 2.0. Says on standard output what became of what it tried, one JSON document a line.

    forger.py UI_SOCKET AGENT_SOCKET MODE [SECONDS] [TRIES]

MODE: `at-once` answers every request with a yes as soon as it comes, `guarded` after SECONDS; both type a guess where a
PIN or a passphrase is asked for. `tricks` tries everything else that could count as a yes.
"""
import json
import socket
import struct
import sys
import time


class Channel:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(20)
        self.number = 0
        self.news = []
        self.call("hello", {"protocol": 7, "name": "forger"})

    def send(self, message):
        body = json.dumps(message).encode()
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def whole(self, length):
        read = b""
        while len(read) < length:
            more = self.socket.recv(length - len(read))
            if not more:
                raise EOFError
            read += more
        return read

    def next(self):
        (length,) = struct.unpack(">I", self.whole(4))
        return json.loads(self.whole(length))

    def call(self, method, params):
        self.number += 1
        self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        while True:
            message = self.next()
            if message.get("id") == self.number and "method" not in message:
                return message
            self.news.append(message)

    def event(self):
        return self.news.pop(0) if self.news else self.next()

    def answer(self, prompt, answer):
        said = self.call("prompt.answer", {"prompt": prompt, "answer": answer})
        error = said.get("error")
        return "taken" if error is None else error.get("data", {}).get("code", "refused")


def say(what):
    print(json.dumps(what), flush=True)


def forge(front, wait):
    while True:
        message = front.event()
        if message.get("method") != "prompt.open":
            if message.get("method") == "prompt.close":
                say({"closed": message["params"]["outcome"]})
            continue
        prompt = message["params"]
        question = prompt["question"]
        if question["kind"] == "approval":
            time.sleep(wait)
            yes = {"kind": "approve", "digest": question["digest"]}
            say({"approval": front.answer(prompt["id"], yes), "again": question["again"]})
        elif question["kind"] in ("pin", "passphrase"):
            guess = {"kind": "secret", "value": "123456"}
            say({question["kind"]: front.answer(prompt["id"], guess)})
        elif question["kind"] == "touch":
            # There is no answer that a finger gives.
            tries = [{"kind": "approve", "digest": "00" * 32}, {"kind": "secret", "value": "touched"}]
            say({"touch": [front.answer(prompt["id"], one) for one in tries]})


def first(front):
    while True:
        message = front.event()
        if message.get("method") == "prompt.open" and message["params"]["question"]["kind"] == "approval":
            return message["params"]


def tricks(front, client):
    prompt = first(front)
    digest = prompt["question"]["digest"]
    yes = {"kind": "approve", "digest": digest}
    say({"agent.sock": client.answer(prompt["id"], yes)})
    say({"for a time": front.answer(prompt["id"], {"kind": "approve-for", "digest": digest, "minutes": 5})})
    say({"allow": front.answer(prompt["id"], {"kind": "allow", "scope": "once"})})
    say({"secret": front.answer(prompt["id"], {"kind": "secret", "value": "x"})})
    say({"no such prompt": front.answer("aaaaaaaaaaaaaaaaaaaaaaaaaa", yes)})
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    say({"another digest": front.answer(prompt["id"], {"kind": "approve", "digest": other})})
    say({"and then the right one": front.answer(prompt["id"], yes)})
    say({"ready": True})
    late = first(front)
    seconds = late["deadline"] / 1000 - time.time()
    time.sleep(max(seconds, 0) + 0.3)
    yes = {"kind": "approve", "digest": late["question"]["digest"]}
    say({"too late": front.answer(late["id"], yes)})


def main():
    ui, agent, mode = sys.argv[1:4]
    front = Channel(ui)
    say({"connected": True})
    try:
        if mode == "tricks":
            tricks(front, Channel(agent))
        else:
            forge(front, 0 if mode == "at-once" else float(sys.argv[4]))
    except (EOFError, OSError) as end:
        say({"end": type(end).__name__})


main()
