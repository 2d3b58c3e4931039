"""Reads messages as any consumer would, with Confluent's own deserializers, and says whether they mean what they should.

Standard input: one JSON object per line, {"topic", "field": "key" or "value", "hex", "expected"}, where `expected` is what
JsonConverter writes for the same value, as text, with decimals as numbers. Standard output, per line: "equal", or what
differs. Arguments: the registry's URL, and `avro` or `protobuf`; `restarted`, where the writer of one of both was restarted
on its way: source.sequence, which names the commit before, is left out then.
"""
import base64
import datetime
import decimal
import json
import math
import struct
import sys

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.serialization import MessageField, SerializationContext

decimal.getcontext().prec = 500
is_protobuf = sys.argv[2] == "protobuf"
is_restarted = "restarted" in sys.argv[3:]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def number(value, expected):
    if isinstance(value, str):
        value = float(value)
    if isinstance(expected, str):
        return math.isnan(value) if expected == "NaN" else value == float(expected)
    if value == float(expected):
        return True
    # Of 32 bits: the same after rounding.
    return struct.pack("f", value) == struct.pack("f", float(expected))


def equal(value, expected):
    if isinstance(value, dict):
        if isinstance(expected, list):
            expected = {str(k): v for k, v in expected}
        if not isinstance(expected, dict) or {str(k) for k in value} != set(expected):
            return False
        return all(equal(v, expected[str(k)]) for k, v in value.items())
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and set(value[0]) == {"key", "value"}:
            value = [[v["key"], v["value"]] for v in value]
        if isinstance(expected, dict):
            expected = [[k, v] for k, v in expected.items()]
        if expected is None and is_protobuf:
            # Nothing repeated is as good as null there.
            return not value
        return isinstance(expected, list) and len(value) == len(expected) and all(map(equal, value, expected))
    if value is None or isinstance(value, bool) or expected is None:
        return value is expected
    if isinstance(value, bytes):
        return isinstance(expected, str) and value == base64.b64decode(expected)
    if isinstance(value, decimal.Decimal):
        return isinstance(expected, (int, decimal.Decimal)) and value == expected
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(milliseconds=1) == expected
    if isinstance(value, datetime.date):
        return (value - EPOCH.date()).days == expected
    if isinstance(value, datetime.time):
        milliseconds = ((value.hour * 60 + value.minute) * 60 + value.second) * 1000 + value.microsecond // 1000
        return milliseconds == expected
    if isinstance(value, float):
        return number(value, expected)
    return type(value) is type(expected) and value == expected


def without_times(value):
    """The times of writing differ between two runs."""
    if isinstance(value, dict) and "op" in value:
        value = {k: v for k, v in value.items() if k not in ("ts_ms", "ts_us", "ts_ns")}
        if is_restarted and isinstance(value.get("source"), dict):
            value["source"] = {k: v for k, v in value["source"].items() if k != "sequence"}
    return value


def main():
    client = SchemaRegistryClient({"url": sys.argv[1]})
    if sys.argv[2] == "avro":
        from confluent_kafka.schema_registry.avro import AvroDeserializer

        deserializer = AvroDeserializer(client)
    else:
        from protobuf_reader import ProtobufReader

        deserializer = ProtobufReader(client)
    for line in sys.stdin:
        message = json.loads(line)
        field = MessageField.KEY if message["field"] == "key" else MessageField.VALUE
        try:
            value = deserializer(bytes.fromhex(message["hex"]), SerializationContext(message["topic"], field))
            expected = json.loads(message["expected"], parse_float=decimal.Decimal)
            is_equal = equal(without_times(value), without_times(expected))
            print("equal" if is_equal else json.dumps({"read": repr(value), "expected": message["expected"]}))
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}))


main()
