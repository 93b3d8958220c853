"""A collector that answers 200: what exporting costs the proxy, and nothing else.

Run as a program it prints its port and serves until it is ended."""

import http.server
import pathlib
import subprocess
import sys

from console import Failure

HERE = pathlib.Path(__file__).resolve().parents[1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else the answer's two writes wait for each other.
    disable_nagle_algorithm = True

    def do_POST(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        # Empty is an ExportLogsServiceResponse without complaints, in JSON and in protobuf.
        body = b"{}" if "json" in self.headers.get("content-type", "") else b""
        self.send_header("content-type", self.headers.get("content-type", "application/json"))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        # A proxy that ends resets its connections.
        pass


class Sink:
    """The collector as a process of its own, on the load's core."""

    def __init__(self, core):
        command = ["taskset", "-c", str(core), sys.executable, "-m", "measuring.sink"]
        self.process = subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        told = self.process.stdout.readline().strip()
        if not told.isdigit():
            self.stop()
            raise Failure(f"`{' '.join(command)}` did not tell its port")
        self.port = int(told)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def serve():
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
