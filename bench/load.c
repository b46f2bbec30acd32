/*
 * The load generator: one thread, epoll, closed loop: each client sends its next request when the last is answered.
 *
 *   load port=P clients=32 requests=10 seconds=2 limit=30 think_us=0 ramp_us=0 expect=20 < request
 *
 * Standard input is the request, byte by byte as it goes out. No request starts after `seconds`; whatever is unfinished
 * after `limit` seconds is an error. An event is a mark "@@" in the body; digits after it are the time it was written
 * upstream. In a stream of events a mark counts only behind the key "delta" in its line: a Responses stream repeats its
 * text when it closes. One JSON line comes out.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define KEY "\"delta\""
enum { KEY_SIZE = sizeof KEY - 1, HEAD_ROOM = 16384, READ_ROOM = 262144, MAX_CLIENTS = 10000, MIN_STAMP = 12 };
enum framing { CHUNKED, COUNTED, UNTIL_CLOSE };
enum state { WAITING, SENDING, HEAD, SIZE, DATA, DATA_END, TRAILER, DONE };

struct client {
    int fd, requests;
    enum state state;
    enum framing framing;
    bool closes, refused, streams;
    long start_at, sent_at, first_at, events, left, line, stamp;
    int key, mark, digits; /* what was matched: of KEY in this line, of the mark (0, 1, 2), then digits of the stamp */
    size_t sent, head_size;
    char head[HEAD_ROOM + 1];
};

struct samples { long *at; size_t count, room; };

static struct { long port, clients, requests, seconds_us, limit_us, think_us, ramp_us, expect; } set = {
    0, 1, 1, 10000000, 60000000, 0, 0, -1};
static struct samples first_event, whole, lag;
static struct client *clients;
static char *request;
static size_t request_size;
static long finished, errors, events, bytes, reconnects, waiting, active, began, last_end;
static int poller, timer;

static void die(const char *what) { perror(what); exit(1); }

static long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000L + at.tv_nsec;
}

static void sample(struct samples *samples, long value) {
    if (samples->count == samples->room) {
        samples->room = samples->room ? samples->room * 2 : 4096;
        if (!(samples->at = realloc(samples->at, samples->room * sizeof *samples->at))) die("realloc");
    }
    samples->at[samples->count++] = value;
}

/* ---- one request ---- */

static void dial(struct client *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(set.port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if ((c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) die("socket");
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

static void hang_up(struct client *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void rest(struct client *c, long at) {
    c->state = WAITING;
    c->start_at = at;
    waiting++;
}

static void end_request(struct client *c, bool failed) {
    last_end = now();
    if (set.expect >= 0 && c->events != set.expect) failed = true;
    if (failed) {
        if (!errors++) fprintf(stderr, "load: first error, after %ld events: %.300s\n", c->events, c->head);
    } else {
        finished++;
        sample(&whole, last_end - c->sent_at);
        if (c->first_at) sample(&first_event, c->first_at - c->sent_at);
    }
    if (failed || c->closes) hang_up(c);
    if (c->requests > 0 && last_end - began < set.seconds_us * 1000) rest(c, last_end + set.think_us * 1000);
    else { c->state = DONE; active--; hang_up(c); }
}

static void send_rest(struct client *c) {
    while (c->sent < request_size) {
        ssize_t sent = send(c->fd, request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) end_request(c, true);
            return;
        }
        c->sent += sent;
    }
    c->state = HEAD;
}

static void begin_request(struct client *c) {
    waiting--;
    if (c->fd < 0) { dial(c); reconnects++; }
    c->requests--;
    c->state = SENDING;
    c->sent = c->head_size = 0;
    c->first_at = c->events = c->mark = c->key = 0;
    c->head[0] = 0;
    c->closes = c->refused = false;
    c->sent_at = now();
    send_rest(c);
}

/* ---- the response ---- */

/* Whether the line that these bytes end in has had its KEY, or how much of it. */
static void follow_line(struct client *c, const char *at, const char *end) {
    const char *line = memrchr(at, '\n', end - at);
    if (line) { at = line + 1; c->key = 0; }
    if (!c->key && memmem(at, end - at, KEY, KEY_SIZE)) c->key = KEY_SIZE;
    for (; at < end && c->key < KEY_SIZE; at++) c->key = *at == KEY[c->key] ? c->key + 1 : *at == '"';
}

static void end_stamp(struct client *c, long at) {
    if (c->digits >= MIN_STAMP) sample(&lag, at - c->stamp);
    c->mark = 0;
}

static void count_events(struct client *c, const char *at, const char *end, long read_at) {
    while (at < end) {
        if (c->mark == 0) {
            const char *mark = memchr(at, '@', end - at);
            if (c->streams) follow_line(c, at, mark ? mark + 1 : end);
            if (!mark) return;
            at = mark + 1;
            c->mark = 1;
        } else if (c->mark == 1) {
            c->mark = *at == '@' && (!c->streams || c->key == KEY_SIZE) ? 2 : 0;
            if (c->mark != 2) continue;
            at++;
            c->stamp = c->digits = 0;
            c->events++;
            events++;
            if (!c->first_at) c->first_at = read_at;
        } else if (*at >= '0' && *at <= '9' && c->digits < 19) {
            c->stamp = c->stamp * 10 + *at++ - '0';
            c->digits++;
        } else end_stamp(c, read_at);
    }
}

static void parse_head(struct client *c) {
    int status = 0;
    sscanf(c->head, "HTTP/1.%*d %d", &status);
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->refused = status < 200 || status > 299;
    c->closes = strcasestr(c->head, "\r\nconnection: close") != NULL;
    c->streams = strcasestr(c->head, "\r\ncontent-type: text/event-stream") != NULL;
    c->framing = strcasestr(c->head, "\r\ntransfer-encoding: chunked") ? CHUNKED : length ? COUNTED : UNTIL_CLOSE;
    c->left = c->framing == COUNTED ? strtol(length + 17, NULL, 10) : 0;
    c->line = 0;
    c->state = c->framing == CHUNKED ? SIZE : DATA;
}

/* The bytes of a chunked body that are not data. */
static void take_line_byte(struct client *c, char byte) {
    if (c->state == DATA_END) { if (byte == '\n') c->state = SIZE; return; }
    if (c->state == TRAILER) {
        if (byte == '\n') { if (!c->line) c->state = DONE; c->line = 0; }
        else if (byte != '\r') c->line++;
        return;
    }
    if (byte == '\n') {
        c->left = c->line;
        c->state = c->left ? DATA : TRAILER;
        c->line = 0;
    } else {
        int digit = byte >= '0' && byte <= '9' ? byte - '0' : (byte | 32) >= 'a' && (byte | 32) <= 'f' ? (byte | 32) - 'a' + 10 : -1;
        if (digit >= 0) c->line = c->line * 16 + digit;
    }
}

static void take(struct client *c, const char *at, size_t size, long read_at) {
    const char *end = at + size;
    bytes += size;
    while (c->state == HEAD && at < end) {
        if (c->head_size == HEAD_ROOM) { end_request(c, true); return; }
        c->head[c->head_size++] = *at++;
        c->head[c->head_size] = 0;
        if (c->head_size >= 4 && !memcmp(c->head + c->head_size - 4, "\r\n\r\n", 4)) parse_head(c);
    }
    if (c->refused && !errors) fprintf(stderr, "load: refused: %.*s\n", (int)(end - at < 300 ? end - at : 300), at);
    if (c->state == DATA && c->framing == COUNTED && !c->left) c->state = DONE;
    while (at < end && c->state >= SIZE && c->state < DONE) {
        if (c->state != DATA) { take_line_byte(c, *at++); continue; }
        long part = end - at;
        if (c->framing != UNTIL_CLOSE && part > c->left) part = c->left;
        count_events(c, at, at + part, read_at);
        at += part;
        c->left -= part;
        if (c->framing == CHUNKED && !c->left) c->state = DATA_END;
        if (c->framing == COUNTED && !c->left) c->state = DONE;
    }
    if (c->state == DONE) end_request(c, c->refused);
}

static void on_ready(struct client *c, unsigned ready) {
    static char buffer[READ_ROOM];
    if (c->state == SENDING && ready & EPOLLOUT) send_rest(c);
    if (!(ready & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
    while (c->fd >= 0) {
        ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            c->closes = true;
            if (c->state == WAITING) hang_up(c);
            else if (c->state != DONE) end_request(c, c->refused || c->state != DATA || c->framing != UNTIL_CLOSE);
            return;
        }
        if (c->state == SENDING) c->state = HEAD; /* an early answer */
        if (c->state >= HEAD && c->state < DONE) take(c, buffer, got, now());
        if (got < (ssize_t)sizeof buffer && !(ready & (EPOLLRDHUP | EPOLLHUP))) return;
    }
}

/* ---- the run ---- */

/* Start what is due; returns epoll_wait's timeout, the timer being armed if a client is still waiting. */
static int start_due(long deadline) {
    long at = now(), next = deadline;
    if (!waiting) return (deadline - at) / 1000000 + 1;
    for (long i = 0; i < set.clients; i++) {
        if (clients[i].state != WAITING) continue;
        if (clients[i].start_at <= at) begin_request(&clients[i]);
        else if (clients[i].start_at < next) next = clients[i].start_at;
    }
    if (!waiting || next <= at) return waiting ? 0 : (deadline - at) / 1000000 + 1;
    struct itimerspec when = {.it_value = {next / 1000000000L, next % 1000000000L}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
    return -1;
}

static void run(void) {
    began = last_end = now();
    long deadline = began + set.limit_us * 1000;
    for (long i = 0; i < set.clients; i++) rest(&clients[i], began + set.ramp_us * 1000 * i / set.clients);
    active = set.clients;
    while (active && now() < deadline) {
        struct epoll_event ready[256];
        unsigned long ticks;
        int timeout = start_due(deadline);
        int found = epoll_wait(poller, ready, 256, active ? timeout : 0);
        for (int i = 0; i < found; i++)
            if (ready[i].data.ptr) on_ready(ready[i].data.ptr, ready[i].events);
            else if (read(timer, &ticks, sizeof ticks) < 0) continue;
    }
    errors += active;
}

static int compare(const void *one, const void *other) {
    long a = *(const long *)one, b = *(const long *)other;
    return (a > b) - (a < b);
}

static void print_samples(const char *name, struct samples *s) {
    if (!s->count) { printf(", \"%s\": null", name); return; }
    qsort(s->at, s->count, sizeof *s->at, compare);
    printf(", \"%s\": {\"count\": %zu, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}", name, s->count,
           s->at[s->count / 2] / 1e3, s->at[(s->count - 1) * 99 / 100] / 1e3, s->at[s->count - 1] / 1e3);
}

static void read_request(void) {
    for (size_t room = 0, got = 1; got;) {
        if (room - request_size < 65536 && !(request = realloc(request, room = room * 2 + 131072))) die("realloc");
        request_size += got = fread(request + request_size, 1, room - request_size, stdin);
    }
}

static void read_settings(int count, char **words) {
    const struct { const char *name; long *at; double unit; } known[] = {
        {"port=", &set.port, 1}, {"clients=", &set.clients, 1}, {"requests=", &set.requests, 1},
        {"seconds=", &set.seconds_us, 1e6}, {"limit=", &set.limit_us, 1e6}, {"think_us=", &set.think_us, 1},
        {"ramp_us=", &set.ramp_us, 1}, {"expect=", &set.expect, 1}};
    for (int i = 1; i < count; i++) {
        size_t k = 0;
        for (; k < sizeof known / sizeof *known; k++)
            if (!strncmp(words[i], known[k].name, strlen(known[k].name))) break;
        if (k == sizeof known / sizeof *known) { fprintf(stderr, "load: unknown setting %s\n", words[i]); exit(2); }
        *known[k].at = strtod(words[i] + strlen(known[k].name), NULL) * known[k].unit;
    }
    if (set.clients < 1 || set.clients > MAX_CLIENTS || set.requests < 1 || set.port < 1) {
        fprintf(stderr, "load: port, clients and requests must be positive, clients at most %d\n", MAX_CLIENTS);
        exit(2);
    }
}

int main(int count, char **words) {
    read_settings(count, words);
    read_request();
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event)) die("epoll_ctl");
    if (!(clients = calloc(set.clients, sizeof *clients))) die("calloc");
    for (long i = 0; i < set.clients; i++) { clients[i].requests = set.requests; dial(&clients[i]); }
    run();
    printf("{\"requests\": %ld, \"errors\": %ld, \"events\": %ld, \"bytes\": %ld, \"reconnects\": %ld, \"seconds\": %.6f",
           finished, errors, events, bytes, reconnects, (last_end - began) / 1e9);
    print_samples("first_event_us", &first_event);
    print_samples("whole_us", &whole);
    print_samples("lag_us", &lag);
    printf("}\n");
}
