"""Reads Protobuf messages by the file that the registry has for them: protoc compiles it, Confluent's deserializer takes the
message out of its frame."""
import datetime
import decimal
import pathlib
import sysconfig
import tempfile

from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

PACKAGES = pathlib.Path(sysconfig.get_paths()["purelib"])
PROTOS = pathlib.Path(__file__).parent / "protos"


class ProtobufReader:
    def __init__(self, client):
        self.client = client
        self.deserializers = {}

    def __call__(self, data, context):
        identity = int.from_bytes(data[1:5], "big")
        if identity not in self.deserializers:
            text = self.client.get_schema(identity).schema_str
            self.deserializers[identity] = ProtobufDeserializer(compiled(text), {"use.deprecated.format": False})
        return plain(self.deserializers[identity](data, context))


def compiled(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "schema.proto").write_text(text)
        status = protoc.main([
            "protoc", f"-I{folder}", f"-I{PROTOS}", f"-I{PACKAGES}", f"-I{PACKAGES / 'grpc_tools' / '_proto'}",
            "--include_imports", f"--descriptor_set_out={path / 'set'}", "schema.proto"])
        if status != 0:
            raise ValueError("protoc does not take:\n" + text)
        files = descriptor_pb2.FileDescriptorSet.FromString((path / "set").read_bytes()).file
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    name = f"{files[-1].package}.{files[-1].message_type[0].name}".lstrip(".")
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def plain(message):
    name = message.DESCRIPTOR.full_name
    if name == "confluent.type.Decimal":
        unscaled = int.from_bytes(message.value, "big", signed=True)
        return decimal.Decimal(unscaled).scaleb(-message.scale)
    if name == "google.type.Date":
        return datetime.date(message.year, message.month, message.day)
    if name == "google.type.TimeOfDay":
        return datetime.time(message.hours, message.minutes, message.seconds, message.nanos // 1000)
    if name == "google.protobuf.Timestamp":
        return message.ToDatetime(tzinfo=datetime.timezone.utc)
    result = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        is_message = field.message_type is not None
        if field.is_repeated:
            result[field.name] = [plain(v) if is_message else v for v in value]
        elif field.has_presence and not message.HasField(field.name):
            result[field.name] = None
        else:
            result[field.name] = plain(value) if is_message else value
    return result
