/* A container that numbers its lines: writer RATE LENGTH COUNT [FIRST]
 *
 * RATE lines per second (0: as fast as they are taken), each LENGTH bytes long with its end, COUNT of them (0: for ever), numbered from
 * FIRST (1). When COUNT lines are written it says so and waits; a line is `line <N> ` and filling. SIGTERM ends it with 0, SIGUSR1 with 7, and it
 * says goodbye: whoever has that has everything. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void stop(int number) {
    stopped = number;
}

static void out(const char *bytes, size_t length) {
    while (length) {
        ssize_t wrote = write(1, bytes, length);
        if (wrote <= 0)
            return;
        bytes += wrote;
        length -= (size_t)wrote;
    }
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void leave(void) {
    if (stopped) {
        out("writer ends\n", 12);
        _exit(stopped == SIGUSR1 ? 7 : 0);
    }
}

int main(int words, char **word) {
    double rate = words > 1 ? atof(word[1]) : 10;
    size_t length = words > 2 ? (size_t)atol(word[2]) : 80;
    long count = words > 3 ? atol(word[3]) : 0;
    long first = words > 4 ? atol(word[4]) : 1;
    if (length < 32)
        length = 32;
    struct sigaction act = {.sa_handler = stop};
    sigaction(SIGTERM, &act, 0);
    sigaction(SIGINT, &act, 0);
    sigaction(SIGUSR1, &act, 0);
    char *line = malloc(length + 1);
    double begun = now();
    for (long n = 0; count == 0 || n < count; n++) {
        leave();
        while (rate > 0 && (double)n > (now() - begun) * rate) {
            struct timespec tick = {.tv_nsec = 10000000};
            nanosleep(&tick, 0);
            leave();
        }
        int head = snprintf(line, length, "line <%ld> ", first + n);
        memset(line + head, '.', length - (size_t)head);
        line[length - 1] = '\n';
        out(line, length);
    }
    out("writer is quiet\n", 16);
    for (;;) {
        leave();
        pause();
    }
}
