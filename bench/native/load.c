/* load: asks a worklist server from many clients at once, checks each answer and measures.
 *
 * Each client is a thread that repeats: connect, A-ASSOCIATE, some C-FINDs, A-RELEASE, close. The
 * result is one JSON object on standard output; the exit status is 1 when anything was wrong.
 *
 * Segments are acknowledged at once (TCP_QUICKACK, always): kindest to a server that leaves Nagle's
 * algorithm on, which otherwise waits 40 ms for an acknowledgement that the client delays. */
#define _GNU_SOURCE
#include "dicom.h"
#include "pattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_IDENTIFIERS = 1024,
    MAX_CLIENTS = 4096,
    MAX_PDU_BYTES = 1 << 16,   /* that a server may send, as announced */
    BUFFER_BYTES = 1 << 20,
    SLOW_BUFFER_BYTES = 1 << 16,
    REQUEST_BYTES = 1 << 17,
    MAX_ANSWER_BYTES = 1 << 16,
    PEER_TIMEOUT_S = 60,
};

/* What can be wrong, each counted and named in the result. */
enum fault {
    NONE,
    NOT_CONNECTED,
    CLOSED_EARLY,
    NO_REPLY_IN_TIME,
    ASSOCIATION_REFUSED,
    CONTEXT_REFUSED,
    ABORTED,
    UNEXPECTED_PDU,
    MALFORMED_PDU,
    WRONG_MESSAGE_ID,
    FAILURE_STATUS,
    WRONG_NUMBER_OF_ANSWERS,
    ANSWER_WITHOUT_DATA_SET,
    ANSWERS_WITHOUT_TEXT,
    FILE_NOT_PUBLISHED,
    FAULTS
};

static const char *const FAULT_NAMES[FAULTS] = {
    [NOT_CONNECTED] = "not connected",
    [CLOSED_EARLY] = "connection closed early",
    [NO_REPLY_IN_TIME] = "no reply in time",
    [ASSOCIATION_REFUSED] = "association refused",
    [CONTEXT_REFUSED] = "presentation context refused",
    [ABORTED] = "aborted",
    [UNEXPECTED_PDU] = "unexpected PDU",
    [MALFORMED_PDU] = "malformed PDU",
    [WRONG_MESSAGE_ID] = "wrong message ID",
    [FAILURE_STATUS] = "failure status",
    [WRONG_NUMBER_OF_ANSWERS] = "wrong number of answers",
    [ANSWER_WITHOUT_DATA_SET] = "answer without data set",
    [ANSWERS_WITHOUT_TEXT] = "answers lack the expected text",
    [FILE_NOT_PUBLISHED] = "file not published",
};

static struct {
    unsigned port;
    const char *called;
    long clients, associations, queries;
    double seconds, connect_within, pause;
    long expected; /* answers to each query, -1 for any number */
    long first_number, numbers;
    double bytes_per_second; /* 0 for as fast as they come */
    struct pattern identifiers[MAX_IDENTIFIERS];
    int identifier_count;
    struct pattern text; /* that the answers to a query must hold */
    struct pattern file, name;
    const char *staging, *folder; /* a file is written in one and renamed into the other */
} options = {.called = "ORTHANC", .clients = 1, .associations = LONG_MAX, .queries = 1,
             .seconds = 3600, .expected = -1};

struct samples {
    double *values;
    long count, capacity;
};

struct client {
    pthread_t thread;
    long index;
    int connection;
    uint8_t *buffer, *request, *answer, *text;
    size_t begin, end, answer_length, text_length;
    double began, received_in_association; /* for a bounded rate */
    long faults[FAULTS], queries, answers, bytes;
    struct samples associations, each_query;
};

static struct client *clients;
static atomic_long next_association, next_serial;
static double deadline;
static pthread_barrier_t start_line;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void wait_until(double moment)
{
    struct timespec time = {(time_t)moment, (long)((moment - (double)(time_t)moment) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

static void add_sample(struct samples *samples, double value)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity == 0 ? 1024 : samples->capacity * 2;
        samples->values =
            realloc(samples->values, (size_t)samples->capacity * sizeof *samples->values);
    }
    samples->values[samples->count++] = value;
}

/* ---- bytes in and out ---- */

static enum fault send_all(struct client *client, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(client->connection, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return errno == EAGAIN ? NO_REPLY_IN_TIME : CLOSED_EARLY;
        bytes += sent;
        length -= (size_t)sent;
    }
    return NONE;
}

/* Have this many bytes in the buffer, reading as many more as there are. */
static enum fault have(struct client *client, size_t length)
{
    if (client->begin + length > BUFFER_BYTES) {
        memmove(client->buffer, client->buffer + client->begin, client->end - client->begin);
        client->end -= client->begin;
        client->begin = 0;
    }
    while (client->end - client->begin < length) {
        int on = 1;
        size_t room = BUFFER_BYTES - client->end;
        if (options.bytes_per_second > 0) {
            wait_until(client->began + client->received_in_association / options.bytes_per_second);
            room = room < SLOW_BUFFER_BYTES / 4 ? room : SLOW_BUFFER_BYTES / 4;
        }
        setsockopt(client->connection, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
        ssize_t got = recv(client->connection, client->buffer + client->end, room, 0);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? NO_REPLY_IN_TIME : CLOSED_EARLY;
        client->end += (size_t)got;
        client->bytes += got;
        client->received_in_association += (double)got;
    }
    return NONE;
}

struct pdu {
    unsigned type;
    const uint8_t *value;
    size_t length;
};

/* Read one PDU of a type; it stays in the buffer until the next is read. */
static enum fault read_pdu(struct client *client, enum pdu_type wanted, struct pdu *pdu)
{
    enum fault fault = have(client, PDU_HEADER);
    if (fault != NONE)
        return fault;
    pdu->type = client->buffer[client->begin];
    pdu->length = big32(client->buffer + client->begin + 2);
    if (pdu->type == A_ABORT)
        return ABORTED;
    if (pdu->type == A_ASSOCIATE_RJ)
        return ASSOCIATION_REFUSED;
    if (pdu->type != (unsigned)wanted)
        return UNEXPECTED_PDU;
    if (pdu->length > MAX_PDU_BYTES)
        return MALFORMED_PDU;
    if ((fault = have(client, PDU_HEADER + pdu->length)) != NONE)
        return fault;
    pdu->value = client->buffer + client->begin + PDU_HEADER;
    client->begin += PDU_HEADER + pdu->length;
    return NONE;
}

/* ---- one query ---- */

struct response {
    bool is_final, has_data_set;
    uint8_t command[1024];
    size_t command_length;
};

struct outcome {
    unsigned message_id;
    long answers;
    bool is_done, awaits_data_set, text_found;
};

static enum fault take_command(const struct response *response, struct outcome *outcome)
{
    unsigned status = STATUS_SUCCESS, message_id = 0, data_set = NO_DATA_SET;
    bool has_status = false;
    const uint8_t *at = response->command, *end = at + response->command_length;
    for (uint32_t length; end - at >= 8; at += 8 + length) {
        length = little32(at + 4);
        if (length > (size_t)(end - at) - 8 || little16(at) != 0)
            return MALFORMED_PDU;
        if (length != 2)
            continue;
        switch (little16(at + 2)) {
        case 0x0120: message_id = little16(at + 8); break;
        case 0x0800: data_set = little16(at + 8); break;
        case 0x0900: status = little16(at + 8); has_status = true; break;
        }
    }
    if (!has_status)
        return MALFORMED_PDU;
    if (message_id != outcome->message_id)
        return WRONG_MESSAGE_ID;
    outcome->awaits_data_set = data_set != NO_DATA_SET;
    if (status == STATUS_PENDING || status == STATUS_PENDING_UNSUPPORTED) {
        outcome->answers++;
        return outcome->awaits_data_set ? NONE : ANSWER_WITHOUT_DATA_SET;
    }
    outcome->is_done = true;
    return status == STATUS_SUCCESS ? NONE : FAILURE_STATUS;
}

/* Keep the fragments of an answer together only where text is looked for. */
static void take_data(struct client *client, struct outcome *outcome, const uint8_t *bytes,
                      size_t length, bool is_last)
{
    if (client->text_length > 0 && client->answer_length + length <= MAX_ANSWER_BYTES) {
        memcpy(client->answer + client->answer_length, bytes, length);
        client->answer_length += length;
    }
    if (!is_last)
        return;
    outcome->awaits_data_set = false;
    if (client->text_length > 0 && !outcome->text_found)
        outcome->text_found =
            memmem(client->answer, client->answer_length, client->text, client->text_length);
    client->answer_length = 0;
}

static enum fault take_pdu(struct client *client, const struct pdu *pdu, struct response *response,
                           struct outcome *outcome)
{
    const uint8_t *at = pdu->value, *end = at + pdu->length;
    for (size_t length; at < end; at += 4 + length) {
        if (end - at < PDV_HEADER)
            return MALFORMED_PDU;
        length = big32(at);
        if (length < 2 || length > (size_t)(end - at) - 4 || at[4] != CONTEXT_ID)
            return MALFORMED_PDU;
        bool is_last = (at[5] & IS_LAST) != 0;
        if (((at[5] & IS_COMMAND) == 0) != outcome->awaits_data_set)
            return MALFORMED_PDU;
        if (outcome->awaits_data_set) {
            take_data(client, outcome, at + PDV_HEADER, length - 2, is_last);
            continue;
        }
        if (response->command_length + length - 2 > sizeof response->command)
            return MALFORMED_PDU;
        memcpy(response->command + response->command_length, at + PDV_HEADER, length - 2);
        response->command_length += length - 2;
        if (is_last) {
            enum fault fault = take_command(response, outcome);
            response->command_length = 0;
            if (fault != NONE)
                return fault;
        }
    }
    return NONE;
}

/* Write a file beside the folder and rename it in, so that it is never seen half written. */
static enum fault publish(struct client *client, long number, long serial)
{
    char temporary[PATH_MAX], target[PATH_MAX], name[NAME_MAX + 1];
    size_t length = pattern_fill(&options.file, client->request, number, serial);
    pattern_fill(&options.name, (uint8_t *)name, number, serial);
    snprintf(temporary, sizeof temporary, "%s/%ld", options.staging, client->index);
    snprintf(target, sizeof target, "%s/%s", options.folder, name);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0)
        return FILE_NOT_PUBLISHED;
    bool is_written = write(file, client->request, length) == (ssize_t)length;
    bool is_closed = close(file) == 0;
    return is_written && is_closed && rename(temporary, target) == 0 ? NONE : FILE_NOT_PUBLISHED;
}

static enum fault query(struct client *client, unsigned message_id)
{
    long serial = atomic_fetch_add(&next_serial, 1);
    long number =
        options.numbers > 0 ? options.first_number + serial % options.numbers : client->index;
    const struct pattern *identifier = &options.identifiers[serial % options.identifier_count];
    struct outcome outcome = {.message_id = message_id};
    struct response response = {.command_length = 0};
    struct pdu pdu;
    if (options.file.length > 0 && publish(client, number, serial) != NONE)
        return FILE_NOT_PUBLISHED;
    if (options.text.length > 0)
        client->text_length = pattern_fill(&options.text, client->text, number, serial);

    uint8_t *data = client->request +
                    write_command(client->request, C_FIND_RQ, message_id, HAS_DATA_SET, 0);
    size_t length = pattern_fill(identifier, data + PDU_HEADER + PDV_HEADER, number, serial);
    data += write_data(data, IS_LAST, NULL, length);
    double began = now();
    enum fault fault = send_all(client, client->request, (size_t)(data - client->request));
    while (fault == NONE && !(outcome.is_done && !outcome.awaits_data_set))
        if ((fault = read_pdu(client, P_DATA_TF, &pdu)) == NONE)
            fault = take_pdu(client, &pdu, &response, &outcome);
    if (fault != NONE)
        return fault;
    add_sample(&client->each_query, now() - began);
    client->queries++;
    client->answers += outcome.answers;
    if (options.expected >= 0 && outcome.answers != options.expected)
        client->faults[WRONG_NUMBER_OF_ANSWERS]++;
    if (client->text_length > 0 && !outcome.text_found)
        client->faults[ANSWERS_WITHOUT_TEXT]++;
    return NONE;
}

/* ---- one association ---- */

static enum fault connect_to_server(struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    struct timeval patience = {.tv_sec = PEER_TIMEOUT_S};
    double give_up = now() + options.connect_within;
    int on = 1, small = SLOW_BUFFER_BYTES;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (;;) {
        client->connection = socket(AF_INET, SOCK_STREAM, 0);
        if (options.bytes_per_second > 0)
            setsockopt(client->connection, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        setsockopt(client->connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(client->connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(client->connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (connect(client->connection, (struct sockaddr *)&address, sizeof address) == 0)
            return NONE;
        if (now() > give_up)
            return NOT_CONNECTED;
        close(client->connection);
        wait_until(now() + 0.001);
    }
}

static enum fault associate(struct client *client)
{
    struct pdu pdu;
    size_t length =
        write_associate(client->request, A_ASSOCIATE_RQ, options.called, "LOAD", MAX_PDU_BYTES);
    enum fault fault = send_all(client, client->request, length);
    if (fault == NONE)
        fault = read_pdu(client, A_ASSOCIATE_AC, &pdu);
    if (fault != NONE)
        return fault;
    /* PS3.8 9.3.3: 68 bytes, then items; byte 2 of a presentation context's value is its result. */
    for (size_t at = 68; at + 8 <= pdu.length; at += 4 + big16(pdu.value + at + 2))
        if (pdu.value[at] == 0x21 && pdu.value[at + 4] == CONTEXT_ID)
            return pdu.value[at + 6] == 0 ? NONE : CONTEXT_REFUSED;
    return CONTEXT_REFUSED;
}

static enum fault run_association(struct client *client)
{
    struct pdu pdu;
    client->begin = client->end = client->answer_length = 0;
    client->received_in_association = 0;
    client->began = now();
    enum fault fault = connect_to_server(client);
    if (fault == NONE)
        fault = associate(client);
    for (long i = 0; fault == NONE && i < options.queries; i++)
        fault = query(client, (unsigned)(i % 65535) + 1);
    if (fault == NONE)
        fault = send_all(client, client->request, write_release(client->request, A_RELEASE_RQ));
    if (fault == NONE)
        fault = read_pdu(client, A_RELEASE_RP, &pdu);
    close(client->connection);
    return fault;
}

/* A client that polls waits after each association. What it measures starts when the wait was to
 * end, so that a late start counts as well. */
static void *run_client(void *argument)
{
    struct client *client = argument;
    pthread_barrier_wait(&start_line);
    double due = now() + options.pause * (double)client->index / (double)options.clients;
    for (;;) {
        if (options.pause > 0)
            wait_until(due);
        else
            due = now();
        if (due >= deadline || atomic_fetch_add(&next_association, 1) >= options.associations)
            return NULL;
        enum fault fault = run_association(client);
        if (fault == NONE)
            add_sample(&client->associations, now() - due);
        else
            client->faults[fault]++;
        if (fault == NOT_CONNECTED)
            return NULL;
        due = now() + options.pause;
    }
}

/* ---- the result ---- */

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print_percentiles(const char *name, size_t samples_at)
{
    struct samples all = {0};
    for (long i = 0; i < options.clients; i++) {
        const struct samples *own = (const void *)((const char *)&clients[i] + samples_at);
        for (long j = 0; j < own->count; j++)
            add_sample(&all, own->values[j]);
    }
    if (all.count > 0)
        qsort(all.values, (size_t)all.count, sizeof *all.values, ascending);
    static const struct {
        const char *name;
        double rank;
    } PERCENTILES[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1.0}};
    printf(", \"%s\": {", name);
    for (int i = 0; i < 4; i++) {
        long at = (long)(PERCENTILES[i].rank * (double)all.count);
        double value = all.count == 0 ? 0 : all.values[at < all.count ? at : all.count - 1];
        printf("%s\"%s\": %.4f", i == 0 ? "" : ", ", PERCENTILES[i].name, value * 1e3);
    }
    printf("}");
}

static bool print_result(double elapsed)
{
    long faults[FAULTS] = {0}, associations = 0, queries = 0, answers = 0, bytes = 0, wrong = 0;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    for (long i = 0; i < options.clients; i++) {
        associations += clients[i].associations.count;
        queries += clients[i].queries;
        answers += clients[i].answers;
        bytes += clients[i].bytes;
        for (int fault = 0; fault < FAULTS; fault++)
            faults[fault] += clients[i].faults[fault];
    }
    printf("{\"associations\": %ld, \"queries\": %ld, \"answers\": %ld, \"bytes\": %ld, "
           "\"seconds\": %.6f, \"processor_seconds\": %.3f",
           associations, queries, answers, bytes, elapsed,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
    print_percentiles("association_ms", offsetof(struct client, associations));
    print_percentiles("query_ms", offsetof(struct client, each_query));
    printf(", \"faults\": {");
    for (int fault = 1; fault < FAULTS; fault++)
        if (faults[fault] > 0)
            printf("%s\"%s\": %ld", wrong++ == 0 ? "" : ", ", FAULT_NAMES[fault], faults[fault]);
    printf("}}\n");
    return wrong == 0;
}

/* ---- options ---- */

static const struct option OPTIONS[] = {
    {"port", required_argument, NULL, 'p'},
    {"called", required_argument, NULL, 'a'},
    {"clients", required_argument, NULL, 'c'},
    {"associations", required_argument, NULL, 'n'},
    {"queries", required_argument, NULL, 'q'},
    {"seconds", required_argument, NULL, 's'},
    {"connect-within", required_argument, NULL, 'w'},
    {"pause", required_argument, NULL, 'P'},
    {"expect", required_argument, NULL, 'e'},
    {"text", required_argument, NULL, 't'},
    {"identifier", required_argument, NULL, 'i'},
    {"first-number", required_argument, NULL, 'f'},
    {"numbers", required_argument, NULL, 'm'},
    {"bytes-per-second", required_argument, NULL, 'b'},
    {"publish", required_argument, NULL, 'F'},
    {"name", required_argument, NULL, 'N'},
    {"staging", required_argument, NULL, 'S'},
    {"folder", required_argument, NULL, 'D'},
    {NULL, 0, NULL, 0},
};

static void usage(void)
{
    fprintf(stderr, "usage: load --port N --identifier FILE [--identifier FILE ...], and any of\n");
    for (const struct option *option = OPTIONS; option->name != NULL; option++)
        fprintf(stderr, "  --%s VALUE\n", option->name);
    exit(2);
}

static void read_options(int count, char **arguments)
{
    for (int option; (option = getopt_long(count, arguments, "", OPTIONS, NULL)) != -1;) {
        switch (option) {
        case 'p': options.port = (unsigned)atoi(optarg); break;
        case 'a': options.called = optarg; break;
        case 'c': options.clients = atol(optarg); break;
        case 'n': options.associations = atol(optarg); break;
        case 'q': options.queries = atol(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'w': options.connect_within = atof(optarg); break;
        case 'P': options.pause = atof(optarg); break;
        case 'e': options.expected = atol(optarg); break;
        case 't': options.text = pattern_of_text(optarg); break;
        case 'i':
            if (options.identifier_count == MAX_IDENTIFIERS)
                usage();
            options.identifiers[options.identifier_count++] = pattern_of_file(optarg);
            break;
        case 'f': options.first_number = atol(optarg); break;
        case 'm': options.numbers = atol(optarg); break;
        case 'b': options.bytes_per_second = atof(optarg); break;
        case 'F': options.file = pattern_of_file(optarg); break;
        case 'N': options.name = pattern_of_text(optarg); break;
        case 'S': options.staging = optarg; break;
        case 'D': options.folder = optarg; break;
        default: usage();
        }
    }
    bool publishes = options.file.length > 0;
    if (options.port == 0 || options.identifier_count == 0 || options.queries < 1 ||
        options.clients < 1 || options.clients > MAX_CLIENTS ||
        (publishes && (!options.name.length || !options.staging || !options.folder)))
        usage();
}

static void prepare(struct client *client, long index)
{
    client->index = index;
    client->buffer = malloc(BUFFER_BYTES);
    client->request = malloc(REQUEST_BYTES);
    client->answer = malloc(MAX_ANSWER_BYTES);
    client->text = malloc(options.text.length + 1);
}

int main(int count, char **arguments)
{
    read_options(count, arguments);
    clients = calloc((size_t)options.clients, sizeof *clients);
    pthread_barrier_init(&start_line, NULL, (unsigned)options.clients + 1);
    double began = 0;
    for (long i = 0; i < options.clients; i++) {
        prepare(&clients[i], i);
        if (pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) != 0) {
            perror("load: thread");
            return 2;
        }
    }
    began = now();
    deadline = began + options.seconds;
    pthread_barrier_wait(&start_line);
    for (long i = 0; i < options.clients; i++)
        pthread_join(clients[i].thread, NULL);
    return print_result(now() - began) ? 0 : 1;
}
