/* floor: the least that a worklist server can do.
 *
 * It reads PDUs and answers each query with the same bytes: nothing is parsed, matched, encoded or
 * logged. Only the message ID is filled in, because the load generator looks at it. One thread a
 * connection, each with its own copy of the answer, which goes out in one call. What a load
 * generator measures here is what the kernel, the loopback and the generator itself allow.
 *
 * usage: floor PORT ANSWERS DATA_SET_FILE */
#include "dicom.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 512, INPUT = 1 << 16, COMMAND = 128 };

static uint8_t *canned;
static size_t canned_length;
static size_t *message_ids; /* where they stand in the canned bytes */
static long responses;

static void prepare(long answers, const uint8_t *data_set, size_t length)
{
    responses = answers + 1;
    canned = malloc((size_t)responses * (COMMAND + PDU_HEADER + PDV_HEADER + length));
    message_ids = malloc((size_t)responses * sizeof *message_ids);
    for (long i = 0; i < answers; i++) {
        message_ids[i] = canned_length + MESSAGE_ID_AT;
        canned_length +=
            write_command(canned + canned_length, C_FIND_RSP, 0, HAS_DATA_SET, STATUS_PENDING);
        canned_length += write_data(canned + canned_length, IS_LAST, data_set, length);
    }
    message_ids[answers] = canned_length + MESSAGE_ID_AT;
    canned_length +=
        write_command(canned + canned_length, C_FIND_RSP, 0, NO_DATA_SET, STATUS_SUCCESS);
}

static int send_all(int connection, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(connection, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

struct peer {
    int connection;
    unsigned message_id;
    unsigned sent_id; /* the message ID that the answer holds */
    uint8_t *answer;
};

static int answer_query(struct peer *peer)
{
    if (peer->sent_id != peer->message_id)
        for (long i = 0; i < responses; i++)
            put_little16(peer->answer + message_ids[i], peer->message_id);
    peer->sent_id = peer->message_id;
    return send_all(peer->connection, peer->answer, canned_length);
}

/* Answer one PDU. Its fragments are looked at only for their control bytes. */
static int answer_pdu(struct peer *peer, const uint8_t *pdu, size_t length)
{
    uint8_t reply[512];
    switch (pdu[0]) {
    case A_ASSOCIATE_RQ:
        return send_all(peer->connection, reply,
                        write_associate(reply, A_ASSOCIATE_AC, "FLOOR", "LOAD", INPUT));
    case P_DATA_TF:
        for (size_t at = PDU_HEADER; at + PDV_HEADER <= length; at += 4 + big32(pdu + at))
            if (pdu[at + 5] & IS_COMMAND)
                peer->message_id = little16(pdu + at + MESSAGE_ID_AT - PDU_HEADER);
            else if (pdu[at + 5] & IS_LAST && answer_query(peer) != 0)
                return -1;
        return 0;
    case A_RELEASE_RQ:
        return send_all(peer->connection, reply, write_release(reply, A_RELEASE_RP));
    default:
        return -1;
    }
}

static void *serve(void *argument)
{
    struct peer peer = {.connection = (int)(intptr_t)argument, .answer = malloc(canned_length)};
    uint8_t input[INPUT];
    size_t held = 0;
    int on = 1;
    memcpy(peer.answer, canned, canned_length);
    setsockopt(peer.connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (;;) {
        ssize_t got = recv(peer.connection, input + held, sizeof input - held, 0);
        if (got <= 0)
            break;
        held += (size_t)got;
        size_t at = 0;
        while (held - at >= PDU_HEADER) {
            size_t length = PDU_HEADER + (size_t)big32(input + at + 2);
            if (length > held - at)
                break;
            if (answer_pdu(&peer, input + at, length) != 0)
                goto out;
            at += length;
        }
        memmove(input, input + at, held - at);
        held -= at;
    }
out:
    close(peer.connection);
    free(peer.answer);
    return NULL;
}

static int listen_on(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, BACKLOG) != 0) {
        perror("floor: listen");
        exit(1);
    }
    return listener;
}

int main(int count, char **arguments)
{
    static uint8_t data_set[1 << 14];
    FILE *file = count == 4 ? fopen(arguments[3], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: floor PORT ANSWERS DATA_SET_FILE\n");
        return 2;
    }
    size_t length = fread(data_set, 1, sizeof data_set, file);
    fclose(file);
    prepare(atol(arguments[2]), data_set, length);
    int listener = listen_on((unsigned)atoi(arguments[1]));
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        pthread_t thread;
        if (connection >= 0 &&
            pthread_create(&thread, &detached, serve, (void *)(intptr_t)connection) != 0)
            close(connection);
    }
}
