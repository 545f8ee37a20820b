"""One server, and how it is asked."""

import collections
import http.client
import json
import os
import signal
import subprocess
import time
import urllib.parse

PORTS = {"/orders": 8081, "/payments": 8081, "/inventory": 8082, "/query": 8083, "/worker": 8084}
OFFSET = int(os.environ.get("PORT_OFFSET", "3000"))
HOLD_TTL_SECS = 3600
SIGN_KEY = "upgrade"
SEGMENT_BYTES = 256 << 10
SNAPSHOT_LOG_BYTES = 1 << 20

Request = collections.namedtuple("Request", "port method path body")
Answer = collections.namedtuple("Answer", "status headers body")


class Failure(Exception):
    """Something is not as it was, or the proof cannot be made."""


def say(text):
    print("  " + text, flush=True)


def get(path, port=None):
    return Request(port or PORTS.get("/" + path.split("/")[1].split("?")[0], 8080), "GET", path, None)


def post(path, fields):
    return get(path)._replace(method="POST", body=json.dumps(fields))


def url(path, **query):
    return path + "?" + urllib.parse.urlencode(query)


def run_path(train, date):
    return f"/v1/trains/{urllib.parse.quote(train, safe='')}/{date}"


class Client:
    """Connections to one server, one for each port. Not for several threads."""

    def __init__(self, offset):
        self.offset = offset
        self.connections = {}

    def send(self, request):
        connection = self.connections.get(request.port)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", request.port + self.offset, timeout=30)
            self.connections[request.port] = connection
        try:
            connection.request(request.method, request.path, request.body)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            raise


class Server:
    """A process on a directory."""

    running = []

    def __init__(self, binary, directory, cores, offset, snapshot_log_bytes=SNAPSHOT_LOG_BYTES, ttl_secs=HOLD_TTL_SECS):
        command = [binary, "serve", "--data-dir", directory, "--cores", cores, "--port-offset", offset, "--hold-ttl-secs", ttl_secs]
        command += ["--segment-bytes", SEGMENT_BYTES, "--snapshot-log-bytes", snapshot_log_bytes, "--log-level", "warn"]
        ours = ("INTERLOCK_", "INVENTORY_", "ORDER_", "PAYMENT_", "APP_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment["PAYMENT_CALLBACK_SIGN_KEY"] = SIGN_KEY
        # As an old binary (2c25241), which does not know these, does it: ended holds are remembered for a day, trains sold after they left.
        environment["INTERLOCK_HOLD_MEMORY_SECS"] = "86400"
        environment["INTERLOCK_SALE_CLOSES_SECS"] = "-259200"
        self.log = directory + ".log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(word) for word in command], env=environment, stdout=log, stderr=log)
        Server.running.append(self)
        self.offset = offset
        self.client = Client(offset)
        deadline = time.time() + 30
        while not self.is_ready():
            if self.process.poll() is not None or time.time() > deadline:
                raise Failure(f"{binary} does not start on {directory}:\n{self.last_words()}")
            time.sleep(0.02)

    def is_ready(self):
        try:
            return self.client.send(get("/readyz")).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def last_words(self):
        with open(self.log, "r", errors="replace") as log:
            return log.read()[-2000:]

    def end(self, how=signal.SIGTERM):
        Server.running.remove(self)
        self.process.send_signal(how)
        code = self.process.wait(30)
        if how == signal.SIGTERM and code != 0:
            raise Failure(f"the process did not stop cleanly ({code}):\n{self.last_words()}")
