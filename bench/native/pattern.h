/* Bytes with numbers to fill in: identifiers, files and names of which each query has its own.
 *
 * @@@@@@@ stands for the number of the query in the range that the caller asked for,
 * ####### for its serial number, which never comes twice. Seven digits each. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 7, PLACES = 16 };

struct pattern {
    uint8_t *bytes;
    size_t length;
    struct place {
        size_t offset;
        char kind;
    } places[PLACES];
    int count;
};

static inline struct pattern pattern_of(const void *bytes, size_t length)
{
    struct pattern result = {.bytes = malloc(length + 1), .length = length};
    memcpy(result.bytes, bytes, length);
    result.bytes[length] = 0;
    for (size_t i = 0; i + DIGITS <= length && result.count < PLACES; i++) {
        const char *at = (const char *)result.bytes + i;
        if (memcmp(at, "@@@@@@@", DIGITS) == 0 || memcmp(at, "#######", DIGITS) == 0) {
            result.places[result.count++] = (struct place){i, *at};
            i += DIGITS - 1;
        }
    }
    return result;
}

static inline struct pattern pattern_of_text(const char *text)
{
    return pattern_of(text, strlen(text));
}

static inline struct pattern pattern_of_file(const char *path)
{
    static uint8_t bytes[1 << 16];
    FILE *file = fopen(path, "rb");
    size_t length = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    if (length == 0 || length == sizeof bytes) {
        fprintf(stderr, "%s is missing, empty or longer than 64 KiB\n", path);
        exit(2);
    }
    fclose(file);
    return pattern_of(bytes, length);
}

/* Write the bytes with their numbers, and a NUL behind them; give their length. */
static inline size_t pattern_fill(const struct pattern *pattern, uint8_t *into, long number,
                                  long serial)
{
    memcpy(into, pattern->bytes, pattern->length + 1);
    for (int i = 0; i < pattern->count; i++) {
        long value = pattern->places[i].kind == '@' ? number : serial;
        for (int digit = DIGITS - 1; digit >= 0; digit--, value /= 10)
            into[pattern->places[i].offset + (size_t)digit] = (uint8_t)('0' + value % 10);
    }
    return pattern->length;
}

#endif
