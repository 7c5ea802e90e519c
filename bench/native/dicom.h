/* The few bytes of DICOM that the load generator and the floor server need: PS3.8 section 9.3 for
 * PDUs, PS3.7 section 9.3.2 for C-FIND. Everything here is written out and read in place. */
#ifndef DICOM_H
#define DICOM_H

#include <stdint.h>
#include <string.h>

#define MODALITY_WORKLIST_FIND "1.2.840.10008.5.1.4.31"
#define APPLICATION_CONTEXT "1.2.840.10008.3.1.1.1"
#define IMPLICIT_VR_LITTLE_ENDIAN "1.2.840.10008.1.2"
#define IMPLEMENTATION_CLASS "2.999.1"

enum pdu_type {
    A_ASSOCIATE_RQ = 1,
    A_ASSOCIATE_AC = 2,
    A_ASSOCIATE_RJ = 3,
    P_DATA_TF = 4,
    A_RELEASE_RQ = 5,
    A_RELEASE_RP = 6,
    A_ABORT = 7
};

enum { PDU_HEADER = 6, PDV_HEADER = 6, CONTEXT_ID = 1, IS_COMMAND = 1, IS_LAST = 2 };
enum { C_FIND_RQ = 0x0020, C_FIND_RSP = 0x8020, NO_DATA_SET = 0x0101, HAS_DATA_SET = 0x0001 };
enum { STATUS_SUCCESS = 0x0000, STATUS_PENDING = 0xff00, STATUS_PENDING_UNSUPPORTED = 0xff01 };

/* Where the message ID that is responded to stands in the PDU that write_command makes. */
enum { MESSAGE_ID_AT = PDU_HEADER + PDV_HEADER + 12 + 30 + 10 + 8 };

static inline uint8_t *put_big16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static inline uint8_t *put_big32(uint8_t *at, uint32_t value)
{
    return put_big16(put_big16(at, value >> 16), value & 0xffff);
}

static inline uint8_t *put_little16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    return at + 2;
}

static inline uint8_t *put_little32(uint8_t *at, uint32_t value)
{
    return put_little16(put_little16(at, value & 0xffff), value >> 16);
}

static inline uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

static inline uint32_t big32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline unsigned big16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

static inline unsigned little16(const uint8_t *at) { return at[0] | (unsigned)at[1] << 8; }

static inline uint32_t little32(const uint8_t *at)
{
    return little16(at) | (uint32_t)little16(at + 2) << 16;
}

/* An item or sub-item of an association PDU: type, reserved, length, value. PS3.8 9.3.2 */
static inline uint8_t *put_item(uint8_t *at, unsigned type, const void *value, size_t length)
{
    *at++ = (uint8_t)type;
    *at++ = 0;
    return put_bytes(put_big16(at, (unsigned)length), value, length);
}

static inline uint8_t *put_text_item(uint8_t *at, unsigned type, const char *text)
{
    return put_item(at, type, text, strlen(text));
}

/* A-ASSOCIATE-RQ, or -AC that accepts: they differ in the item of the presentation context. */
static inline size_t write_associate(uint8_t *pdu, enum pdu_type type, const char *called,
                                     const char *calling, uint32_t max_length)
{
    uint8_t value[256], number[4], *end;
    uint8_t *at = put_big16(pdu + PDU_HEADER, 1); /* protocol version */
    at = put_big16(at, 0);
    memset(at, ' ', 32);
    memcpy(at, called, strnlen(called, 16));
    memcpy(at + 16, calling, strnlen(calling, 16));
    memset(at + 32, 0, 32);
    at = put_text_item(at + 64, 0x10, APPLICATION_CONTEXT);

    memset(value, 0, 4);
    value[0] = CONTEXT_ID;
    end = value + 4;
    if (type == A_ASSOCIATE_RQ)
        end = put_text_item(end, 0x30, MODALITY_WORKLIST_FIND);
    end = put_text_item(end, 0x40, IMPLICIT_VR_LITTLE_ENDIAN);
    at = put_item(at, type == A_ASSOCIATE_RQ ? 0x20 : 0x21, value, (size_t)(end - value));

    put_big32(number, max_length);
    end = put_item(value, 0x51, number, sizeof number);
    end = put_text_item(end, 0x52, IMPLEMENTATION_CLASS);
    at = put_item(at, 0x50, value, (size_t)(end - value));

    pdu[0] = (uint8_t)type;
    pdu[1] = 0;
    put_big32(pdu + 2, (uint32_t)(at - pdu) - PDU_HEADER);
    return (size_t)(at - pdu);
}

static inline size_t write_release(uint8_t *pdu, enum pdu_type type)
{
    memset(pdu, 0, 10);
    pdu[0] = (uint8_t)type;
    pdu[5] = 4;
    return 10;
}

/* A P-DATA-TF with one fragment that is the whole command or data set. PS3.8 9.3.5 */
static inline size_t write_data(uint8_t *pdu, unsigned control, const void *bytes, size_t length)
{
    pdu[0] = P_DATA_TF;
    pdu[1] = 0;
    put_big32(pdu + 2, (uint32_t)length + PDV_HEADER);
    put_big32(pdu + 6, (uint32_t)length + 2);
    pdu[10] = CONTEXT_ID;
    pdu[11] = (uint8_t)control;
    if (bytes != NULL)
        memcpy(pdu + PDU_HEADER + PDV_HEADER, bytes, length);
    return PDU_HEADER + PDV_HEADER + length;
}

static inline uint8_t *put_number(uint8_t *at, unsigned element, unsigned value)
{
    at = put_little16(put_little16(at, 0x0000), element);
    return put_little16(put_little32(at, 2), value);
}

/* C-FIND-RQ (message_id) or C-FIND-RSP (message ID that is responded to). PS3.7 9.3.2 */
static inline size_t write_command(uint8_t *pdu, unsigned field, unsigned message_id,
                                   unsigned data_set, unsigned status)
{
    uint8_t *start = pdu + PDU_HEADER + PDV_HEADER, *at;
    at = put_little32(put_little16(put_little16(start, 0x0000), 0x0000), 4) + 4;
    at = put_little32(put_little16(put_little16(at, 0x0000), 0x0002), 22);
    at = put_bytes(at, MODALITY_WORKLIST_FIND, 22);
    at = put_number(at, 0x0100, field);
    at = put_number(at, field == C_FIND_RQ ? 0x0110 : 0x0120, message_id);
    if (field == C_FIND_RQ)
        at = put_number(at, 0x0700, 0); /* priority: medium */
    at = put_number(at, 0x0800, data_set);
    if (field == C_FIND_RSP)
        at = put_number(at, 0x0900, status);
    put_little32(start + 8, (uint32_t)(at - start) - 12);
    return write_data(pdu, IS_COMMAND | IS_LAST, NULL, (size_t)(at - start));
}

#endif
