#ifndef MILLRACE_CRDKAFKA_SHIM_H
#define MILLRACE_CRDKAFKA_SHIM_H
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/* Swift cannot call functions with variable arguments, and this is the only way to give headers and a time.
   Key and value are copied. `partition`: RD_KAFKA_PARTITION_UA for what the key says. On success the headers belong to librdkafka; on an error they stay the caller's. */
static inline rd_kafka_resp_err_t millrace_produce(
    rd_kafka_t *client, rd_kafka_topic_t *topic, int32_t partition, const void *key, size_t key_length, const void *value,
    size_t value_length, int64_t timestamp_ms, rd_kafka_headers_t *headers, void *opaque) {
    return rd_kafka_producev(
        client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(key, key_length), RD_KAFKA_V_VALUE((void *)value, value_length),
        RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}
#endif
