/* A PKCS#11 module that forwards to another one and does, once, at the call it is told, what no real one does on demand.
 *
 * PKCS11_SHIM_MODULE  the module behind it
 * PKCS11_SHIM_DIR     where the test says what to do, and where is written what was done:
 *                       spec    "FAULT N ID": at the Nth call from now on; gone once it was done. Another ID counts anew.
 *                       process  what the process that loaded it has: DUMPABLE, descriptors, environment, one a line
 *                       decrypts  the mechanism of each decryption that was begun, one a line
 *                       logins  U for each login of the user that carried a PIN, C for each of one operation
 * PKCS11_SHIM_PAD     a PIN: then the token has keys of its own for it, and a person types that one there
 *
 * All functions have at most eight arguments, each an integer or a pointer; they are passed on as eight machine words.
 */
#define _GNU_SOURCE /* environ */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

typedef unsigned long W;
typedef W (*Function)(W, W, W, W, W, W, W, W);
enum { FUNCTIONS = 68, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, CLOSE_ALL = 14, LOGIN = 18, LOGOUT = 19,
       DECRYPT_INIT = 33 };
struct List {
    unsigned char version[2];
    Function functions[FUNCTIONS];
};

static struct List *real;
static struct List ours;
static W slot, session;

static char *at(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("PKCS11_SHIM_DIR"), name);
    return path;
}

/* What is to be done now: 0 for nothing. */
static int due(char *fault) {
    static int id = -1, calls;
    int number, now;
    FILE *spec = fopen(at("spec"), "r");
    if (!spec) return 0;
    int read = fscanf(spec, "%31s %d %d", fault, &number, &now);
    fclose(spec);
    if (read != 3) return 0;
    if (now != id) { id = now; calls = 0; }
    if (++calls != number) return 0;
    unlink(at("spec"));
    return 1;
}

static W call(int function, W a, W b, W c, W d, W e, W f, W g, W h) {
    return real->functions[function](a, b, c, d, e, f, g, h);
}

static W lose_sessions(W value) {
    call(CLOSE_ALL, slot, 0, 0, 0, 0, 0, 0, 0);
    return value;
}

static W misbehave(const char *fault) {
    if (!strcmp(fault, "session-handle-invalid")) return lose_sessions(0xb3);
    if (!strcmp(fault, "device-removed")) return lose_sessions(0x32);
    if (!strcmp(fault, "token-not-present")) return lose_sessions(0xe0);
    if (!strcmp(fault, "user-not-logged-in")) {
        call(LOGOUT, session, 0, 0, 0, 0, 0, 0, 0);
        return 0x101;
    }
    /* The same without anything lost. */
    if (!strcmp(fault, "handle-hiccup")) return 0xb3;
    if (!strcmp(fault, "login-hiccup")) return 0x101;
    if (!strcmp(fault, "general-error")) return 0x05;
    if (!strcmp(fault, "crash")) raise(SIGSEGV);
    if (!strcmp(fault, "exit")) exit(0);
    if (!strcmp(fault, "hang")) for (;;) pause();
    if (!strcmp(fault, "allocate")) {
        size_t size = (size_t)10 << 30;
        char *memory = malloc(size);
        if (!memory) return 0x02; /* CKR_HOST_MEMORY */
        memset(memory, 1, size);
    }
    abort();
}

static W forward(int function, W a, W b, W c, W d, W e, W f, W g, W h) {
    char fault[32];
    if (function == LOGIN && c) {
        int log = open(at("logins"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (write(log, b == 1 ? "U" : "C", 1) != 1) abort();
        close(log);
    }
    if (due(fault)) return misbehave(fault);
    const char *pad = getenv("PKCS11_SHIM_PAD");
    if (function == LOGIN && pad && !c) {
        c = (W)pad;
        d = strlen(pad);
    }
    W value = call(function, a, b, c, d, e, f, g, h);
    if (function == OPEN_SESSION && !value) {
        slot = a;
        session = *(W *)e;
    }
    if (function == DECRYPT_INIT && !value) {
        FILE *log = fopen(at("decrypts"), "a");
        fprintf(log, "%lu\n", *(W *)b);
        fclose(log);
    }
    /* CKF_PROTECTED_AUTHENTICATION_PATH, behind label, manufacturer, model and serial number. */
    if (function == GET_TOKEN_INFO && !value && pad) *(W *)((char *)b + 96) |= 0x100;
    return value;
}

#define ONE(n) \
    static W f##n(W a, W b, W c, W d, W e, W f, W g, W h) { return forward(n, a, b, c, d, e, f, g, h); }
#define ALL(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) \
    X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32) X(33) X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) \
    X(44) X(45) X(46) X(47) X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59) X(60) X(61) X(62) X(63) X(64) \
    X(65) X(66) X(67)
ALL(ONE)

static void report(void) {
    FILE *out = fopen(at("process"), "w");
    fprintf(out, "dumpable %d\n", prctl(PR_GET_DUMPABLE));
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[300], target[4096];
        snprintf(name, sizeof name, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(name, target, sizeof target);
        if (length > 0) fprintf(out, "fd %.*s\n", (int)length, target);
    }
    closedir(folder);
    for (char **variable = environ; *variable; variable++) fprintf(out, "env %s\n", *variable);
    fclose(out);
}

W C_GetFunctionList(struct List **list) {
#define NAME(n) f##n,
    static const Function table[FUNCTIONS] = {ALL(NAME)};
    if (!real) {
        report();
        void *module = dlopen(getenv("PKCS11_SHIM_MODULE"), RTLD_NOW);
        W (*get)(struct List **) = module ? (W(*)(struct List **))dlsym(module, "C_GetFunctionList") : 0;
        if (!get || get(&real)) return 0x05;
        ours.version[0] = 2;
        ours.version[1] = 40;
        memcpy(ours.functions, table, sizeof table);
    }
    *list = &ours;
    return 0;
}
