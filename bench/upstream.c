/*
 * The fixed upstream: one thread, epoll, HTTP/1.1 keep-alive. It knows no JSON: it plays the byte strings it reads
 * from standard input (see shapes.py) on the listening socket whose descriptor is its only argument.
 *
 * A prompt (or a header) says how a stream goes: "BENCH events=N delay_us=D burst=B stamp=S". The opening and the first
 * event share one write; every further event is one write, D microseconds after the one before. With burst=1, all is
 * written in pieces of 64 KiB. With stamp=1, each event carries the monotonic time of its write.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { VARIANTS = 8, STAMP_DIGITS = 19, PIECE = 65536, OUT_ROOM = PIECE * 2, TOKEN_LIFE = 1800, STEPS_PER_TURN = 64 };
static const size_t MAX_REQUEST = 64u << 20;
static const long MAX_EVENTS = 10000000;

struct bytes { char *at; size_t size; };
struct frame { struct bytes bytes; char *stamp; };
struct protocol { struct bytes open, close, json; struct frame events[2][VARIANTS]; };

struct connection {
    int fd, slot;                  /* slot: place in the heap of due streams, or -1 */
    char *in, *out;
    size_t in_size, in_room, need; /* need: size of the request at the front, once its head is known */
    size_t out_size, out_sent;
    const struct protocol *protocol; /* set while a stream is going on */
    long events, played, delay, due;
    bool burst, stamp, last;
};

static struct protocol chat, messages, responses;
static struct bytes token, account, login, models, missing;
static struct connection **heap;
static int heap_size, heap_room, poller, timer;

static void die(const char *what) { perror(what); exit(1); }

static long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000L + at.tv_nsec;
}

/* ---- the heap of streams, by the time their next event is due ---- */

static void place(int slot, struct connection *c) { heap[slot] = c; c->slot = slot; }

static void sift(int slot, struct connection *c) {
    while (slot > 0 && heap[(slot - 1) / 2]->due > c->due) { place(slot, heap[(slot - 1) / 2]); slot = (slot - 1) / 2; }
    for (;;) {
        int child = 2 * slot + 1;
        if (child >= heap_size) break;
        if (child + 1 < heap_size && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        place(slot, heap[child]);
        slot = child;
    }
    place(slot, c);
}

static void schedule(struct connection *c, long due) {
    c->due = due;
    if (heap_size == heap_room) {
        heap_room = heap_room ? heap_room * 2 : 256;
        if (!(heap = realloc(heap, sizeof *heap * heap_room))) die("realloc");
    }
    sift(heap_size++, c);
}

static void unschedule(struct connection *c) {
    int slot = c->slot;
    if (slot < 0) return;
    c->slot = -1;
    struct connection *moved = heap[--heap_size];
    if (moved != c) sift(slot, moved);
}

/* ---- writing ---- */

static void finish(struct connection *c) {
    unschedule(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void put(struct connection *c, struct bytes bytes) {
    memcpy(c->out + c->out_size, bytes.at, bytes.size);
    c->out_size += bytes.size;
}

static void put_event(struct connection *c) {
    const struct frame *frame = &c->protocol->events[c->stamp][c->played++ % VARIANTS];
    if (frame->stamp) {
        long at = now();
        for (int i = STAMP_DIGITS - 1; i >= 0; i--, at /= 10) frame->stamp[i] = '0' + at % 10;
    }
    put(c, frame->bytes);
}

/* 1: all written; 0: the socket is full; -1: the connection is broken. */
static int flush(struct connection *c) {
    while (c->out_sent < c->out_size) {
        ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN ? 0 : -1;
        c->out_sent += sent;
    }
    c->out_size = c->out_sent = 0;
    return 1;
}

static void put_next(struct connection *c) {
    if (c->played < c->events) put_event(c);
    else { put(c, c->protocol->close); c->last = true; }
}

/* Write until the socket is full, the stream has ended, or its next event is not due. Same results as flush. */
static int play(struct connection *c) {
    for (;;) {
        int written = flush(c);
        if (written != 1 || !c->protocol) return written;
        if (c->last) { c->protocol = NULL; return 1; }
        if (!c->burst) {
            schedule(c, c->delay ? c->due + c->delay : now());
            return 1;
        }
        while (!c->last && c->out_size < PIECE - 1024) put_next(c);
    }
}

/* ---- reading ---- */

static long number_after(const char *words, const char *name, long otherwise) {
    const char *at = strstr(words, name);
    return at ? strtol(at + strlen(name), NULL, 10) : otherwise;
}

static void begin_stream(struct connection *c, const struct protocol *protocol, const char *request, size_t size) {
    char words[128] = "";
    const char *found = memmem(request, size, "BENCH ", 6);
    if (found) {
        size_t length = request + size - found;
        if (length >= sizeof words) length = sizeof words - 1;
        memcpy(words, found, length);
        words[length] = 0;
        words[strcspn(words, "\"\\\r\n")] = 0;
    }
    c->protocol = protocol;
    c->events = number_after(words, "events=", 20);
    if (c->events < 0 || c->events > MAX_EVENTS) c->events = 20;
    c->delay = number_after(words, "delay_us=", 0) * 1000;
    c->burst = number_after(words, "burst=", 0) != 0;
    c->stamp = number_after(words, "stamp=", 0) != 0;
    c->played = 0;
    c->last = false;
    c->due = now();
    put(c, protocol->open);
    put_next(c);
}

static bool wants_stream(const char *body, size_t size) {
    const char *at = memmem(body, size, "\"stream\"", 8), *end = body + size;
    if (!at) return false;
    for (at += 8; at < end && (*at == ' ' || *at == ':'); at++);
    return end - at >= 4 && !memcmp(at, "true", 4);
}

static void put_token(struct connection *c) {
    char digits[24], *at = memmem(token.at, token.size, "\"expires_at\":", 13);
    snprintf(digits, sizeof digits, "%010ld", (long)time(NULL) + TOKEN_LIFE);
    if (at) memcpy(at + 13, digits, 10);
    put(c, token);
}

static void answer(struct connection *c, const char *request, size_t head, size_t size) {
    char path[64] = "";
    const char *from = memchr(request, ' ', head);
    if (from) sscanf(from + 1, "%63[^ ?]", path);
    const char *name = strncmp(path, "/v1/", 4) ? path : path + 3;
    const struct protocol *protocol = !strcmp(name, "/chat/completions") ? &chat
                                      : !strcmp(name, "/messages")       ? &messages
                                      : !strcmp(name, "/responses")      ? &responses : NULL;
    if (*request == 'P' && protocol) {
        if (wants_stream(request + head, size - head)) begin_stream(c, protocol, request, size);
        else put(c, protocol->json);
    } else if (!strcmp(name, "/models")) put(c, models);
    else if (!strcmp(name, "/copilot_internal/v2/token")) put_token(c);
    else if (!strcmp(name, "/copilot_internal/user")) put(c, account);
    else if (!strcmp(name, "/user")) put(c, login);
    else put(c, missing);
}

/* The size of a chunked body at this place, or 0 while it is incomplete. */
static size_t chunked_size(const char *body, size_t size) {
    for (size_t at = 0;;) {
        const char *line = memmem(body + at, size - at, "\r\n", 2);
        if (!line) return 0;
        size_t length = strtoul(body + at, NULL, 16);
        if (length > MAX_REQUEST) return 0;
        at = line + 2 - body + length + 2;
        if (at > size) return 0;
        if (!length) return at;
    }
}

/* 1: a whole request is at the front (c->need bytes, its head being *head); 0: not yet; -1: not a request we take. */
static int frame_request(struct connection *c, size_t *head) {
    c->in[c->in_size] = 0;
    char *end = memmem(c->in, c->in_size, "\r\n\r\n", 4);
    if (!end) return c->in_size > PIECE ? -1 : 0;
    *head = end + 4 - c->in;
    if (!c->need) {
        char kept = end[2];
        end[2] = 0;
        const char *length = strcasestr(c->in, "\r\ncontent-length:");
        bool chunked = strcasestr(c->in, "\r\ntransfer-encoding: chunked") != NULL;
        end[2] = kept;
        if (chunked) {
            size_t body = chunked_size(c->in + *head, c->in_size - *head);
            if (!body) return 0;
            c->need = *head + body;
        } else c->need = *head + (length ? strtoul(length + 17, NULL, 10) : 0);
        if (c->need > MAX_REQUEST) return -1;
    }
    return c->in_size >= c->need;
}

static int answer_waiting(struct connection *c) {
    while (!c->protocol && !c->out_size) {
        size_t head = 0;
        int framed = frame_request(c, &head);
        if (framed != 1) return framed;
        answer(c, c->in, head, c->need);
        c->in_size -= c->need;
        memmove(c->in, c->in + c->need, c->in_size);
        c->need = 0;
        if (play(c) < 0) return -1;
    }
    return 0;
}

static int take_input(struct connection *c) {
    for (;;) {
        if (c->in_room - c->in_size < PIECE) {
            if (c->in_room > MAX_REQUEST) return -1;
            c->in_room = c->in_room * 2 + PIECE;
            if (!(c->in = realloc(c->in, c->in_room + 1))) die("realloc");
        }
        size_t room = c->in_room - c->in_size;
        ssize_t got = recv(c->fd, c->in + c->in_size, room, 0);
        if (got == 0) return -1;
        if (got < 0) return errno == EAGAIN ? answer_waiting(c) : -1;
        c->in_size += got;
        if ((size_t)got < room) return answer_waiting(c);
    }
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = calloc(1, sizeof *c);
        if (!c || !(c->out = malloc(OUT_ROOM))) die("malloc");
        c->fd = fd;
        c->slot = -1;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
}

static void handle(struct connection *c, unsigned events) {
    if (events & (EPOLLHUP | EPOLLERR)) { finish(c); return; }
    if (events & EPOLLOUT && c->out_size) {
        int written = play(c);
        if (written < 0 || (written && answer_waiting(c) < 0)) { finish(c); return; }
    }
    if (events & (EPOLLIN | EPOLLRDHUP) && (take_input(c) < 0 || events & EPOLLRDHUP)) finish(c);
}

/* Play what is due; returns the timeout for epoll_wait, the timer being armed when that is "for ever". */
static int play_due(void) {
    long at = now();
    for (int n = 0; n < STEPS_PER_TURN && heap_size && heap[0]->due <= at; n++) {
        struct connection *c = heap[0];
        unschedule(c);
        put_next(c);
        int written = play(c);
        if (written < 0 || (written && answer_waiting(c) < 0)) finish(c);
    }
    if (!heap_size) return -1;
    long due = heap[0]->due;
    if (due <= now()) return 0;
    struct itimerspec when = {.it_value = {due / 1000000000L, due % 1000000000L}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
    return -1;
}

/* ---- start ---- */

static struct bytes keep(const char *data, size_t size) {
    struct bytes bytes = {malloc(size), size};
    if (!bytes.at) die("malloc");
    memcpy(bytes.at, data, size);
    return bytes;
}

static void store(const char *name, struct bytes bytes) {
    const char *kind = strchr(name, '.');
    if (kind) {
        struct protocol *protocol = *name == 'c' ? &chat : *name == 'm' ? &messages : &responses;
        int variant = 0;
        if (!strcmp(kind, ".open")) protocol->open = bytes;
        else if (!strcmp(kind, ".close")) protocol->close = bytes;
        else if (!strcmp(kind, ".json")) protocol->json = bytes;
        else if (sscanf(kind, ".event.%d", &variant) == 1) protocol->events[0][variant % VARIANTS].bytes = bytes;
        else if (sscanf(kind, ".stamped.%d", &variant) == 1) {
            char *mark = memmem(bytes.at, bytes.size, "@@", 2);
            protocol->events[1][variant % VARIANTS] = (struct frame){bytes, mark ? mark + 2 : NULL};
        }
    } else if (!strcmp(name, "token")) token = bytes;
    else if (!strcmp(name, "account")) account = bytes;
    else if (!strcmp(name, "login")) login = bytes;
    else if (!strcmp(name, "models")) models = bytes;
    else if (!strcmp(name, "missing")) missing = bytes;
}

static void read_sections(void) {
    char line[128], name[64], data[PIECE];
    size_t size;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%63s %zu", name, &size) != 2 || size > sizeof data || fread(data, 1, size, stdin) != size) {
            fprintf(stderr, "upstream: bad section: %s", line);
            exit(2);
        }
        store(name, keep(data, size));
    }
}

int main(int count, char **words) {
    if (count != 2) { fprintf(stderr, "usage: upstream LISTENING_DESCRIPTOR < sections\n"); return 2; }
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlive the bench */
    int listener = atoi(words[1]);
    fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
    read_sections();
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event)) die("epoll_ctl");
    event.data.ptr = &timer;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event)) die("epoll_ctl");
    for (;;) {
        struct epoll_event ready[256];
        int found = epoll_wait(poller, ready, 256, play_due());
        if (found < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < found; i++) {
            unsigned long ticks;
            if (ready[i].data.ptr == &listener) accept_all(listener);
            else if (ready[i].data.ptr == &timer) { if (read(timer, &ticks, sizeof ticks) < 0) continue; }
            else handle(ready[i].data.ptr, ready[i].events);
        }
    }
}
