"""Runs a program and, once SIGUSR1 has come, kills it as the N-th system call begins that any of its threads makes.

strike.py REPORT N PROGRAM [ARGUMENT]...

Calls are counted in the order in which they happen, over all threads, so that no moment between two of them is left out, from
where each thread has been stopped once. Not counted is what only looks at files: who dies before it has left the same behind as
who dies before what comes next.
With N = 0 nothing is killed. REPORT gets a line at a time: `armed`, `struck CALL`, and with each further SIGUSR1
`counted NUMBER`. The program is a child that is traced from its beginning: one that forbids others to look into it later does
not get rid of this.
"""

import ctypes
import os
import signal
import struct
import sys

CONT, SYSCALL, SEIZE, INTERRUPT, LISTEN, GET_SYSCALL_INFO = 7, 24, 0x4206, 0x4207, 0x4208, 0x420E
TRACESYSGOOD, TRACECLONE, EXITKILL = 1, 8, 0x100000
EVENT_CLONE, EVENT_STOP, ENTRY = 3, 128, 1
ALL_THREADS = 0x40000000
GROUP_STOPS = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}

# What only looks: links, folders and properties of files always; then opening what is not made by it, and what is in /proc.
NUMBERS = {
    "x86_64": {"looks": {5, 89, 217, 262, 267, 332}, "openat": 257, "ends": {0, 3, 17}},
    "aarch64": {"looks": {61, 78, 79, 80, 291}, "openat": 56, "ends": {57, 63, 67}},
}[os.uname().machine]
CHANGES = os.O_CREAT | os.O_TRUNC

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, tid, address=0, data=0):
    """False where the thread is gone: a kill is faster than any tracer."""
    return libc.ptrace(request, tid, address, data) >= 0


class Struck:
    def __init__(self, report, at, program):
        self.report, self.at = report, at
        self.armed, self.count, self.threads, self.to_stop = False, 0, set(), set()
        wait, go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.read(wait, 1)
            os.execvp(program[0], program)
        self.threads.add(self.pid)
        if not ptrace(SEIZE, self.pid, 0, TRACESYSGOOD | TRACECLONE | EXITKILL):
            os.kill(self.pid, signal.SIGKILL)
            sys.exit("it cannot be traced")
        signal.signal(signal.SIGUSR1, self.told)
        # Ends when the program has ended, and no sooner.
        signal.signal(signal.SIGTERM, lambda *_: os.kill(self.pid, signal.SIGKILL))
        os.write(go, b"!")

    def say(self, line):
        with open(self.report, "a", encoding="ascii") as report:
            report.write(line + "\n")

    def told(self, *_):
        if self.armed:
            self.say(f"counted {self.count}")
            return
        self.armed, self.to_stop = True, set(self.threads)
        for thread in self.threads:
            ptrace(INTERRUPT, thread)

    def go_on(self, thread, with_signal=0):
        ptrace(SYSCALL if self.armed else CONT, thread, 0, with_signal)
        if self.armed and thread in self.to_stop:
            self.to_stop.discard(thread)
            if not self.to_stop:
                self.say("armed")

    def looks(self, call, arguments):
        if call == NUMBERS["openat"]:
            return not arguments[2] & CHANGES
        if call in NUMBERS["ends"]:
            try:
                return os.readlink(f"/proc/{self.pid}/fd/{arguments[0]}").startswith("/proc/")
            except OSError:
                return False
        return call in NUMBERS["looks"]

    def begins_call(self, thread):
        """Kills where this is the one."""
        if self.to_stop:
            return
        info = ctypes.create_string_buffer(88)
        if not ptrace(GET_SYSCALL_INFO, thread, len(info), ctypes.addressof(info)) or info.raw[0] != ENTRY:
            return
        call, *arguments = struct.unpack_from("<7Q", info.raw, 24)
        if self.looks(call, arguments):
            return
        self.count += 1
        if self.count == self.at:
            os.kill(self.pid, signal.SIGKILL)
            self.say(f"struck {call}")

    def follow(self):
        while True:
            thread, status = os.waitpid(-1, ALL_THREADS)
            if not os.WIFSTOPPED(status):
                self.threads.discard(thread)
                if thread == self.pid:
                    return
                continue
            stopped_by, event = os.WSTOPSIG(status), status >> 16
            self.threads.add(thread)
            if stopped_by == signal.SIGTRAP | 0x80:
                self.begins_call(thread)
                self.go_on(thread)
            elif event == EVENT_STOP and stopped_by in GROUP_STOPS:
                ptrace(LISTEN, thread)
            else:
                self.go_on(thread, 0 if event else stopped_by)


if __name__ == "__main__":
    Struck(sys.argv[1], int(sys.argv[2]), sys.argv[3:]).follow()
