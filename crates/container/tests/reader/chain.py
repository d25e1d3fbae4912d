"""The membership chain, its branches and joins: section 4 of docs/formats/vault.md."""

import copy
import re

from texts import ED25519, HASH, ID, NUMBER, P256, Note, fields, need, number, sha256, time, unbase64, word

PURPOSES = "unlock|seal|sign-vault"
KINDS = "p256|rsa2048|rsa3072|rsa4096|ed25519|x25519"
STATEMENTS = 4096
LINKS = 4096


class Device:
    def __init__(self, user, kind, serial, link):
        self.user, self.kind, self.serial, self.link = user, kind, serial, link
        self.keys, self.attests, self.retired = {}, {}, False


class Members:
    """What holds at one link."""

    def __init__(self):
        self.roles, self.authors, self.recipients = {}, {}, {}
        self.devices, self.environments, self.grants = {}, {}, {}
        self.threshold, self.main = 1, None

    def signing_keys(self, devices):
        return [(id, self.devices[id].keys["sign-vault"]) for id in devices if "sign-vault" in self.devices[id].keys]

    def admins_that_can_sign(self):
        return {
            d.user
            for d in self.devices.values()
            if not d.retired and "sign-vault" in d.keys and self.roles.get(d.user) == "admin"
        }


class Link:
    def __init__(self, hash, data):
        self.hash, self.note = hash, Note(data)
        lines = self.note.lines
        first = lines[0] if lines else ""
        self.genesis = first.startswith("touchkeep/vault/")
        self.prev, self.joins = None, []
        if self.genesis:
            (self.vault,) = fields(first, rf"touchkeep/vault/v1 ({ID})", "genesis")
            need(len(lines) > 3, "genesis is too short")
            (self.kind,) = fields(lines[1], "kind (real|practice)", "kind")
            self.number, rest = 0, lines[2:]
        else:
            (self.vault,) = fields(first, rf"touchkeep/members/v1 ({ID})", "link")
            need(len(lines) > 3, "link is too short")
            self.number = number(*fields(lines[1], rf"number ({NUMBER})", "number"))
            (self.prev,) = fields(lines[2], rf"prev ({HASH})", "prev")
            rest = lines[3:]
            while rest and rest[0].startswith("join "):
                self.joins += fields(rest.pop(0), rf"join ({HASH})", "join")
            need(len(self.joins) <= 16 and self.joins == sorted(set(self.joins)), "joins")
        need(rest, "no time")
        self.time = time(*fields(rest[0], rf"time ({NUMBER})", "time"))
        self.statements = [line.split(" ") for line in rest[1:]]
        need(len(self.statements) <= STATEMENTS, "number of statements")


def signing_kind(der):
    """What signs links: Ed25519, or an uncompressed point of P-256."""
    if der.startswith(ED25519) and len(der) == len(ED25519) + 32:
        return "ed25519"
    return "p256" if der.startswith(P256 + b"\x04") and len(der) == len(P256) + 65 else None


class Applying:
    """Applies one link's statements to a copy of what held before."""

    def __init__(self, link, before):
        self.link, self.m, self.authors, self.retired, self.revoked = link, copy.deepcopy(before), [], [], []
        self.epochs, self.user_recipients, self.before = set(), set(), before
        self.device_users = set()
        for statement in link.statements:
            verb, rest = statement[0], statement[1:]
            handler = getattr(self, "s_" + verb, None)
            need(handler and re.fullmatch("[a-z]+", verb), f"statement {verb!r}")
            handler(*self.shaped(verb, rest))
        self.finish()

    SHAPES = {
        "user": [ID],
        "device": [ID, ID, "software|piv|pkcs11|kit", None],
        "key": [ID, PURPOSES, KINDS, "never|cached|always", None, r"\S*", None, None],
        "retired": [ID],
        "author": [ID, "ed25519", r"\S+"],
        "role": [ID, "admin|writer|reader|gone"],
        "threshold": [NUMBER],
        "environment": [ID],
        "grant": [ID, ID],
        "revoke": [ID, ID],
    }

    def shaped(self, verb, rest):
        if verb == "attest":
            need(3 <= len(rest) <= 6, "attest")
            shape = [ID, PURPOSES] + [r"\S+"] * (len(rest) - 2)
        elif verb == "recipient":
            shape = ["user", ID, None] if rest[:1] == ["user"] else ["environment", ID, NUMBER, None]
        else:
            shape = self.SHAPES[verb]
        need(len(rest) == len(shape), f"fields of {verb}")
        for pattern, value in zip(shape, rest):
            if pattern is None:
                word(value)
            else:
                need(re.fullmatch(pattern, value), f"{verb}: {value[:60]!r}")
        return rest

    def s_user(self, user):
        need(user not in self.m.roles, "user stated twice")
        self.m.roles[user] = "admin" if self.link.genesis else None

    def s_device(self, device, user, kind, serial):
        need(device not in self.m.devices, "device stated twice")
        need(user in self.m.roles, "device of an unknown user")
        self.device_users.add(user)
        self.m.devices[device] = Device(user, kind, serial, self.link.hash)

    def stated_here(self, device):
        d = self.m.devices.get(device)
        need(d and d.link == self.link.hash, "key or attestation apart from its device")
        return d

    def s_key(self, device, purpose, kind, touch, place, spki, recipient, identity):
        d = self.stated_here(device)
        need(purpose not in d.keys, "two keys for a purpose")
        der = unbase64(spki)
        need(word(place) is not None, "a key without a place")
        need(purpose != "sign-vault" or signing_kind(der) == kind, "kind of a sign-vault key")
        for other in self.m.devices.values():
            need(der not in other.keys.values(), "a shared key")
        d.keys[purpose] = der

    def s_attest(self, device, purpose, *certificates):
        d = self.stated_here(device)
        need(purpose in d.keys and purpose not in d.attests, "attestation")
        d.attests[purpose] = [unbase64(c) for c in certificates]
        need(all(len(c) <= 4096 for c in d.attests[purpose]), "large certificate")

    def s_retired(self, device):
        d = self.m.devices.get(device)
        need(d and not d.retired and d.link != self.link.hash, "retired")
        d.retired = True
        self.retired.append(device)

    def s_author(self, user, _, key):
        need(user in self.m.roles, "author of nobody")
        raw = unbase64(key)
        need(len(raw) == 32, "author key")
        self.m.authors[user] = raw
        self.authors.append(user)

    def s_role(self, user, role):
        need(user in self.m.roles, "role of nobody")
        self.m.roles[user] = role

    def s_threshold(self, n):
        self.m.threshold = number(n)
        need(self.m.threshold >= 1, "threshold")

    def s_environment(self, environment):
        need(environment not in self.m.environments, "environment stated twice")
        self.m.environments[environment] = []
        self.m.grants[environment] = set()
        self.m.main = self.m.main or environment

    def s_grant(self, environment, user):
        need(environment in self.m.environments and user in self.m.roles, "grant")
        need(user not in self.m.grants[environment], "grant that changes nothing")
        self.m.grants[environment].add(user)

    def s_revoke(self, environment, user):
        need(user in self.m.grants.get(environment, ()), "revoke that changes nothing")
        self.m.grants[environment].remove(user)
        self.revoked.append((environment, user))

    def s_recipient(self, what, id, *rest):
        recipient = word(rest[-1])
        need(recipient is not None, "recipient")
        if what == "user":
            need(id in self.m.roles, "recipient of nobody")
            self.m.recipients[id] = recipient
            self.user_recipients.add(id)
        else:
            need(id in self.m.environments, "recipient of no environment")
            need(number(rest[0]) == len(self.m.environments[id]) + 1, "epoch")
            self.m.environments[id].append(recipient)
            self.epochs.add(id)

    def finish(self):
        m, before = self.m, self.before
        if self.link.genesis:
            verbs = [s[0] for s in self.link.statements]
            need(verbs[:2] == ["user", "device"] and set(verbs[2:]) <= {"key", "attest"}, "statements of genesis")
        could_read = lambda user: {e for e, users in before.grants.items() if user in users}
        for device in self.retired:
            user = m.devices[device].user
            need(could_read(user) <= self.epochs, "no new epoch after a device was retired")
            need(user in self.authors and user in self.user_recipients, "no new author or recipient after a device was retired")
        for environment, _ in self.revoked:
            need(environment in self.epochs, "no new epoch after a revoke")
        for users in m.grants.values():
            need(all(m.roles[user] != "gone" for user in users), "somebody who is gone reads on")
        need(len(m.admins_that_can_sign()) >= m.threshold, "too few admins left")

    def check_signatures(self):
        note, m, before = self.link.note, self.m, self.before
        old = {id for id, d in before.devices.items() if not d.retired}
        new = {id for id in m.devices if id not in before.devices}
        signers = note.signed_by(m.signing_keys(m.devices))
        by_old, by_new = ({m.devices[s].user for s in signers & some} for some in (old, new))
        for user in {*self.authors, *self.user_recipients, *self.device_users}:
            bare = user not in before.roles and user not in self.authors and user not in self.user_recipients
            certified = user in by_old or (user not in before.roles and user in by_new)
            need(self.link.genesis or bare or certified, "keys or a device of a user without a device of his")
        if self.link.genesis:
            need(signers == set(m.devices), "genesis is not signed by its device")
        else:
            admins = {before.devices[s].user for s in signers & old}
            admins = {user for user in admins if before.roles[user] == "admin"}
            need(len(admins) >= before.threshold, "not signed by enough admins")
            self.link.signers = {(s, before.devices[s].user) for s in signers & old if before.devices[s].user in admins}
            self.link.needs = before.threshold
        return m


class Chain:
    def __init__(self, members):
        need("genesis" in members, "no genesis")
        genesis = Link(sha256(members["genesis"]), members["genesis"])
        need(genesis.genesis, "genesis is another text")
        self.genesis, self.vault, self.kind = genesis.hash, genesis.vault, genesis.kind
        self.links = {genesis.hash: genesis}
        for name, data in members.items():
            if name.startswith("m/"):
                n, hash = fields(name, rf"m/({NUMBER})-({HASH})", "name of a link")
                need(sha256(data) == hash, f"{name} has another hash")
                link = Link(hash, data)
                need(not link.genesis and link.vault == self.vault, f"{name} is of another vault")
                need(link.number == number(n), f"{name} has another number")
                self.links[hash] = link
        need(len(self.links) <= LINKS + 1, "too many links")
        self.at, self.reach = {}, {}
        for link in sorted(self.links.values(), key=lambda l: l.number):
            self.add(link)
        named = {h for l in self.links.values() for h in [l.prev, *l.joins]}
        self.ends = sorted(h for h in self.links if h not in named)
        self.end = max(self.ends, key=lambda h: (self.links[h].number, h))
        stated = {}
        for end in self.ends:
            for id, recipients in self.at[end].environments.items():
                need(stated.setdefault(id, recipients) == recipients, "branches with other keys of an environment")
            for other in self.ends:
                self.check_beside(end, other)

    def add(self, link):
        if link.genesis:
            self.reach[link.hash] = {link.hash}
            self.at[link.hash] = Applying(link, Members()).check_signatures()
            return
        named = [link.prev, *link.joins]
        need(all(h in self.reach for h in named), "link to nothing")
        need(link.number == 1 + max(self.links[h].number for h in named), "number of a link")
        for join in link.joins:
            need(join not in self.reach[link.prev] and link.prev not in self.reach[join], "join of the own line")
        self.reach[link.hash] = {link.hash}.union(*(self.reach[h] for h in named))
        self.at[link.hash] = Applying(link, self.at[link.prev]).check_signatures()
        for join in link.joins:
            self.check_beside(link.hash, join, self.reach[link.prev] | {link.hash})
            own, other = (self.at[h].environments for h in (link.prev, join))
            need(all(own[e] == other[e] for e in own if e in other), "join of a branch with other keys of an environment")

    def check_beside(self, one, other, links=None):
        """No link of a branch that another one lacks is signed by who has lost the right to in that one."""
        there = self.at[other]
        were_admins = {user for h in self.reach[other] for user, role in self.at[h].roles.items() if role == "admin"}
        for hash in (links or self.reach[one]) - self.reach[other]:
            link = self.links[hash]
            may = {
                user
                for device, user in link.signers
                if (there.roles.get(user) == "admin" or user not in were_admins)
                and not (device in there.devices and there.devices[device].retired)
            }
            need(len(may) >= max(link.needs, there.threshold), "a link beside the end of its signers' rights")

    def file_names(self, end):
        return {"genesis" if l.genesis else f"m/{l.number}-{h}": h for h, l in self.links.items() if h in self.reach[end]}


def author_spki(raw):
    return ED25519 + raw
