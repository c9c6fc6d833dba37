"""The proxy as it really answers, on any machine where nginx is (or PGO_TEST_NGINX names it)."""

import datetime as dt
import http.client
import http.server
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NGINX = os.environ.get("PGO_TEST_NGINX") or shutil.which("nginx")
CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
pytestmark = pytest.mark.skipif(not NGINX, reason="nginx is not here; name it in PGO_TEST_NGINX")


class Echo(http.server.BaseHTTPRequestHandler):
    """Stands where pgo stands; remembers what reached it."""

    protocol_version = "HTTP/1.1"
    timeout = 20

    def do_GET(self):
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def log_message(self, *_):
        """Says nothing."""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pgo.example")])
    now = dt.datetime.now(dt.UTC)
    number, day = x509.random_serial_number(), dt.timedelta(1)
    made = x509.CertificateBuilder(name, name, key.public_key(), number, now - day, now + day)
    pem = serialization.Encoding.PEM
    (folder / "tls_crt").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "tls_key").write_bytes(key.private_bytes(pem, *form))


def adapted(folder, ports):
    """The very file, with ports and paths of this test; old versions spell http2 otherwise."""
    text = CONFIG.read_text(encoding="utf-8")
    version = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < (1, 25):
        text = text.replace("        http2 on;\n", "").replace(
            "listen 8443 ssl;", "listen 8443 ssl http2;"
        )
    text = text.replace("server pgo:8000", f"server 127.0.0.1:{ports['pgo']}")
    for plain in ("8080", "8443"):
        text = text.replace(f"listen {plain}", f"listen 127.0.0.1:{ports[plain]}")
    text = text.replace(" /tmp/", f" {folder}/").replace("/run/secrets/", f"{folder}/")
    return text.replace("/dev/stderr", f"{folder}/error.log").replace(
        "/dev/stdout", f"{folder}/access.log"
    )


class Running:
    """The proxy before an echo."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {"8080": free_port(), "8443": free_port()}
        self.echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        self.echo.daemon_threads = True
        self.echo.seen = []
        self.ports["pgo"] = self.echo.server_port
        threading.Thread(target=self.echo.serve_forever, daemon=True).start()
        certificate(folder)
        file = folder / "nginx.conf"
        file.write_text(adapted(folder, self.ports), encoding="utf-8")
        command = [NGINX, "-p", str(folder), "-c", str(file), "-g", "daemon off;"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self):
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.ports["8443"]), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise AssertionError("nginx did not start; see nginx -t")

    def tls(self, name="pgo.example"):
        context = ssl.create_default_context(cafile=str(self.folder / "tls_crt"))
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.ports["8443"]), 15)
        return context.wrap_socket(plain, server_hostname=name)

    def ask(self, method, path, body=None, **headers):
        with self.tls() as opened:
            connection = http.client.HTTPConnection("pgo.example")
            connection.sock = opened
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.echo.shutdown()
        self.echo.server_close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    running = Running(folder)
    yield running
    running.stop()


def test_what_a_caller_claims_about_certificates_and_addresses_never_arrives(proxy):
    claims = {
        "X_SSL_Client_Cert": "eve", "X_Forwarded_Client_Cert": "eve", "Client_Cert": "eve",
        "X_SSL_Client_Verify": "SUCCESS", "X_Forwarded_For": "10.9.8.7", "Forwarded": "for=eve",
        "X_Forwarded_Host": "eve.example", "X_Real_IP": "10.9.8.7",
    }  # fmt: skip
    assert proxy.ask("GET", "/fhir/r4/metadata", **claims)[0] == 200
    seen = proxy.echo.seen[-1]
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["host"] == "pgo.example"
    arrived = {name for name, value in seen.items() if value in claims.values()}
    assert arrived == set()


def test_a_token_and_a_content_type_do_arrive(proxy):
    proxy.ask("POST", "/fhir/r4", b"{}", Authorization="Bearer x", Content_Type="application/json")
    assert proxy.echo.seen[-1]["authorization"] == "Bearer x"
    assert proxy.echo.seen[-1]["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/health/live"])
def test_what_is_for_the_operator_is_not_for_the_world(proxy, path):
    before = len(proxy.echo.seen)
    assert proxy.ask("GET", path)[0] == 404
    assert len(proxy.echo.seen) == before


def test_an_address_over_eight_kilobytes_is_refused(proxy):
    assert proxy.ask("GET", "/" + "a" * 8_000)[0] == 200
    assert proxy.ask("GET", "/" + "a" * 8_200)[0] == 414


def test_a_head_over_thirty_two_kilobytes_is_refused(proxy):
    large = {f"X_Large_{number}": "a" * 7_000 for number in range(6)}
    assert proxy.ask("GET", "/", **large)[0] in {400, 431, 494}


def test_a_bundle_of_the_largest_size_passes_and_far_more_does_not(proxy):
    assert proxy.ask("POST", "/fhir/r4", b" " * 5_000_000)[0] == 200
    assert proxy.ask("POST", "/fhir/r4", b" " * 5_600_000)[0] == 413


def test_another_host_name_gets_no_certificate(proxy):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        proxy.tls("eve.example").close()


def test_plain_http_is_sent_on_and_never_answered(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.ports["8080"], timeout=5)
    connection.request("GET", "/mijn/?a=1", headers={"Host": "pgo.example"})
    answer = connection.getresponse()
    assert answer.status == 308
    assert answer.headers["Location"] == "https://pgo.example/mijn/?a=1"
    connection.close()


def test_the_log_says_that_something_was_asked_never_what(proxy):
    proxy.ask("GET", "/fhir/r4/Condition?code=geheimwoord", Referer="https://geheimwoord.example")
    deadline = time.monotonic() + 5
    log = proxy.folder / "access.log"
    while time.monotonic() < deadline and not log.read_text().strip():
        time.sleep(0.05)
    written = log.read_text()
    assert "GET 200" in written
    assert "geheimwoord" not in written
    assert "Condition" not in written


@pytest.mark.long
def test_who_sends_a_head_letter_by_letter_is_cut_off_after_ten_seconds(proxy):
    began = time.monotonic()
    with proxy.tls() as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nHost: pgo.example\r\n")
        opened.settimeout(20)
        rest = b"x"
        while rest and time.monotonic() - began < 20:
            rest = opened.recv(1_000)
    assert 9 < time.monotonic() - began < 13
