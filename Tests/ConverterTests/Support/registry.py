"""A stand-in for Confluent's Schema Registry: register, look up, get by id, compatibility 409 on request.

Keeps everything in memory. `PUT /config/<subject>` with {"compatibility": "NONE"} or {"compatibility": "REFUSE"};
under REFUSE every further schema of the subject is answered with 409. `GET /requests` counts what was asked.
Prints the port once it listens; ends with its standard input.
"""
import base64
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

lock = threading.Lock()
schemas = []  # index + 1 is the id: (type, text)
subjects = {}  # subject: [id]
config = {}
requests = []
credentials = sys.argv[1] if len(sys.argv) > 1 else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")

    def is_allowed(self):
        expected = credentials and "Basic " + base64.b64encode(credentials.encode()).decode()
        if not expected or self.headers.get("Authorization") == expected:
            return True
        self.body()
        self.answer(401, {"error_code": 401, "message": "Unauthorized"})
        return False

    def version(self, subject, identity):
        kind, text = schemas[identity - 1]
        return {"subject": subject, "id": identity, "version": subjects[subject].index(identity) + 1,
                "schema": text, "schemaType": kind}

    def do_POST(self):
        if not self.is_allowed():
            return
        path = urlparse(self.path).path
        with lock:
            requests.append(path)
            found = re.fullmatch(r"/subjects/([^/]+)(/versions)?", path)
            if not found:
                return self.answer(404, {"error_code": 404, "message": "HTTP 404 Not Found"})
            subject, query = unquote(found[1]), self.body()
            schema = (query.get("schemaType", "AVRO"), query["schema"])
            if schema[0] == "AVRO":
                try:
                    json.loads(schema[1])
                except ValueError:
                    return self.answer(422, {"error_code": 42201, "message": "Invalid schema"})
            known = [i for i in subjects.get(subject, []) if schemas[i - 1] == schema]
            if found[2] is None:
                if not known:
                    return self.answer(404, {"error_code": 40403, "message": "Schema not found"})
                return self.answer(200, self.version(subject, known[0]))
            if not known:
                if config.get(subject) == "REFUSE" and subjects.get(subject):
                    return self.answer(409, {
                        "error_code": 409, "message": "Schema being registered is incompatible with an earlier schema"})
                if schema not in schemas:
                    schemas.append(schema)
                known = [schemas.index(schema) + 1]
                subjects.setdefault(subject, []).append(known[0])
            self.answer(200, {"id": known[0]})

    def do_PUT(self):
        if not self.is_allowed():
            return
        with lock:
            level = self.body()["compatibility"]
            config[unquote(urlparse(self.path).path.removeprefix("/config/"))] = level
            self.answer(200, {"compatibility": level})

    def do_GET(self):
        if not self.is_allowed():
            return
        path = urlparse(self.path).path
        with lock:
            if path == "/requests":
                return self.answer(200, requests)
            if path == "/subjects":
                return self.answer(200, sorted(subjects))
            if found := re.fullmatch(r"/schemas/ids/(\d+)", path):
                identity = int(found[1])
                if not 0 < identity <= len(schemas):
                    return self.answer(404, {"error_code": 40403, "message": "Schema not found"})
                kind, text = schemas[identity - 1]
                return self.answer(200, {"schema": text, "schemaType": kind})
            if found := re.fullmatch(r"/subjects/([^/]+)/versions", path):
                return self.answer(200, list(range(1, len(subjects.get(unquote(found[1]), [])) + 1)))
            if found := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+|latest)", path):
                subject = unquote(found[1])
                known = subjects.get(subject, [])
                place = len(known) if found[2] == "latest" else int(found[2])
                if not 0 < place <= len(known):
                    return self.answer(404, {"error_code": 40402, "message": "Version not found"})
                return self.answer(200, self.version(subject, known[place - 1]))
            self.answer(404, {"error_code": 404, "message": "HTTP 404 Not Found"})


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
# Tests reset connections.
server.handle_error = lambda *_: None
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
