"""The program mounted in real web servers. Each configuration is the one in examples/, with names changed and nothing
else; what a distribution's main file has (modules, a port, temporary folders) is put around it."""

import http.client
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

from load import Load
from sites import PROGRAM, ROOT, Answer, Site, free_port, give_away, is_alive, wait_for

EXAMPLES = ROOT / "examples"
IS_ROOT = os.geteuid() == 0
SERVER_USER = "www-data"  # who web servers are, where the tests run as root
CUSTOMER = "nobody"  # whose programs a host runs under suEXEC: any user above its limit for user ids
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")
TOKEN = "the token of the page"


class Host(Site):
    """A site in a folder that belongs to the user of a web server, with a copy of the program in it."""

    def __init__(self, folder, owner=SERVER_USER, program=PROGRAM, **options):
        super().__init__(folder, **options)
        self.owner = owner
        self.program = self.folder / "hookspool"
        shutil.copy(program, self.program)
        if IS_ROOT:
            user = pwd.getpwnam(owner)
            self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        (self.folder / "www").mkdir()
        self.write(self.folder / "token", TOKEN)
        self.write(self.conf, self.conf.read_text()
                   + f'status "/webhook/status/" {{ token_file = "{self.folder}/token" }}\n')
        self.own()

    def own(self):
        """Gives all that is there to the owner."""
        if IS_ROOT:
            give_away(self.folder, self.identity["user"], self.identity["group"])

    def running(self, deliverers=False):
        """The pids of this copy of the program: receivers, or deliverers."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/exe") == str(self.program):
                    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    if (b"deliver" in words) == deliverers and is_alive(pid):
                        found.append(int(pid))
            except OSError:
                continue
        return found

    def delivered(self, name):
        """The lines of the file target whose elements' ids begin so, all there will be."""
        self.end_deliverer()
        self.deliver()  # or another deliverer does: one that the receiver has started anew
        wait_for(self.is_drained, "all is delivered")
        return b"".join(line + b"\n" for line in self.records() if b'"data":{"id":"%s' % name.encode() in line)


class Mount:
    """One way to be started by a web server."""

    example = ""
    reload = None  # the signal on which the server starts over without letting go of its port
    suexec = False  # whether programs run as their owner
    forgets = False  # whether the server leaves requests without an answer when it reloads
    own_limit = None  # a line of the example without which the server refuses bodies that the program would take

    def __init__(self, host, change=lambda text: text):
        """`change` makes a variant of the example's text."""
        self.host, self.change = host, change
        self.port = free_port()
        self.server = None

    # what a server is

    def names(self):
        """The names that the example tells its reader to change, and what they are here."""
        return {}

    def command(self, conf):
        """The server, in the foreground."""

    def around(self, example):
        """The server's main file, with the example in it."""
        return example

    def prepare(self):
        """Before the server starts."""

    def revive(self):
        """What keeps a program running that no server starts."""

    # what can be done with it

    def configuration(self):
        return self.around(self.change(renamed(EXAMPLES / self.example, self.names())))

    def start(self):
        self.prepare()
        conf = self.host.folder / "server.conf"
        conf.write_text(self.configuration())
        self.host.own()
        self.launch(conf)

    def launch(self, conf):
        with open(self.host.folder / "server.log", "ab") as log:
            # From "/", as an init system does: Caddy looks at the folder that it was started in.
            self.server = self.host.start(self.command(conf), stdout=log, stderr=log, cwd="/", **self.server_identity())
        wait_for(self.listens, "the server listens")

    def server_identity(self):
        return {}

    def listens(self):
        assert self.server.poll() is None, self.logs()
        try:
            return self.host.post_http(self.port, b"", "/", "GET").status
        except OSError:
            return False

    def restart(self):
        self.stop()
        self.launch(self.host.folder / "server.conf")

    def stop(self):
        self.host.stop(self.server)

    def logs(self):
        return "".join(path.read_text(errors="replace") for path in self.host.folder.glob("*.log"))

    def post(self, body, **more):
        return self.host.post_http(self.port, body, **more)


def renamed(path, names):
    """An example's text with names changed. Each must be there."""
    text = path.read_text()
    for name, value in names.items():
        assert name in text, f"{path.name} has no {name}"
        text = text.replace(name, str(value))
    return text


class External(Mount):
    """The program runs beside the server, on a socket of its own."""

    program = None

    def names(self):
        return {"/run/hookspool/fcgi.sock": self.host.socket}

    def prepare(self):
        self.program = self.host.serve()

    def revive(self):
        if not is_alive(self.program.pid):
            self.program.wait()
            self.program = self.host.serve()


class Lighttpd(Mount):
    example = "lighttpd.conf"
    reload = signal.SIGUSR1

    def names(self):
        return {"/srv/hookspool": self.host.folder, "/usr/local/bin/hookspool": self.host.program, "= 8080": f"= {self.port}"}

    def command(self, conf):
        return ["lighttpd", "-D", "-f", conf]


class LighttpdExternal(External, Lighttpd):
    example = "lighttpd-external.conf"

    def names(self):
        return {**External.names(self), "/srv/www": self.host.folder, "= 8080": f"= {self.port}"}


class Apache(Mount):
    reload = signal.SIGUSR1
    modules = ["mpm_event", "authz_core", "alias", "env"]
    extra = ""

    def names(self):
        return {"*:80>": f"127.0.0.1:{self.port}>", "hooks.example.org": "127.0.0.1"}

    def command(self, conf):
        return ["apache2", "-DFOREGROUND", "-f", conf]

    def around(self, example):
        folder = self.host.folder
        modules = "\n".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name in self.modules)
        user = f"User {SERVER_USER}\nGroup {SERVER_USER}" if self.server_identity() else ""
        return f"""
{modules}
{user}
ServerRoot {folder}
DefaultRuntimeDir {folder}
Mutex posixsem default
PidFile {folder}/apache.pid
ErrorLog {folder}/apache-error.log
ServerName 127.0.0.1
Listen 127.0.0.1:{self.port}
<Directory />
    AllowOverride None
    Require all denied
</Directory>
<Directory /var/www>
    Require all granted
</Directory>
{self.extra}
{example}
"""


class ApacheFcgid(Apache):
    example = "apache-fcgid.conf"
    modules = [*Apache.modules, "fcgid"]
    forgets = True  # an old child waits for the old process manager, which is gone
    own_limit = "FcgidMaxRequestLen"

    def names(self):
        return {**super().names(), "/srv/hookspool/hookspool.conf": self.host.conf,
                "/usr/local/bin/hookspool": self.host.program}

    @property
    def extra(self):
        folder = self.host.folder
        return f"Suexec Off\nFcgidIPCDir {folder}/fcgid\nFcgidProcessTableFile {folder}/fcgid.shm"


class ApacheProxy(External, Apache):
    example = "apache-proxy.conf"
    modules = [*Apache.modules, "proxy", "proxy_fcgi"]

    def names(self):
        return {**External.names(self), **Apache.names(self)}


class ApacheCgi(Apache):
    """A customer's folder on a shared host, without suEXEC: the server's user is the only one."""

    example = "apache-suexec.conf"
    modules = ["mpm_prefork", *Apache.modules[1:], "cgi", "rewrite", "setenvif"]

    def names(self):
        return {**super().names(), "/var/www/customer": self.host.folder,
                "	SuexecUserGroup customer customer\n": self.identity_line()}

    def identity_line(self):
        return ""

    def prepare(self):
        """As doc/shared-hosts.md says."""
        public = self.host.folder / "public_html"
        folder = public / "cgi-bin"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / "apache-cgi.htaccess", public / ".htaccess")
        self.host.program = shutil.move(self.host.program, folder / "hookspool.cgi")
        self.host.conf = shutil.move(self.host.conf, folder / "hookspool.conf")
        self.host.own()


class ApacheSuexec(ApacheCgi):
    """The same under suEXEC."""

    suexec = True
    modules = [*Apache.modules, "cgid", "rewrite", "setenvif", "suexec"]

    @property
    def extra(self):
        return f"ScriptSock {self.host.folder}/cgid.sock"

    def identity_line(self):
        return suexec_line(self.host)

    def server_identity(self):
        return {"user": 0, "group": 0}


class ApacheFcgidSuexec(ApacheFcgid):
    """mod_fcgid under suEXEC, which takes HOOKSPOOL_CONF away: the configuration is beside the program."""

    suexec = True
    modules = [*ApacheFcgid.modules, "suexec"]

    @property
    def extra(self):
        return super().extra.replace("Suexec Off", "")

    def configuration(self):
        return super().configuration().replace("	Alias ", suexec_line(self.host) + "	Alias ")

    def server_identity(self):
        return {"user": 0, "group": 0}


def suexec_line(host):
    return f"SuexecUserGroup {host.owner} #{host.identity['group']}\n"


class Nginx(External):
    example = "nginx.conf"
    reload = signal.SIGHUP
    own_limit = "client_max_body_size"

    def names(self):
        return {**super().names(), "listen 80;": f"listen 127.0.0.1:{self.port};"}

    def command(self, conf):
        return ["nginx", "-e", self.host.folder / "nginx-error.log", "-c", conf]

    def around(self, example):
        folder = self.host.folder
        temporary = "\n".join(f"    {name}_temp_path {folder}/nginx-{name};"
                              for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
events {{
}}
http {{
    access_log off;
{temporary}
{example}
}}
"""


class NginxSystemd(Nginx):
    """nginx, and the program as the units in examples/systemd start it: on a socket that outlives it."""

    def prepare(self):
        self.units = EXAMPLES / "systemd"
        self.listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o777 - int(self.option("hookspool.socket", "SocketMode"), 8))
        self.listener.bind(str(self.host.socket))
        os.umask(before)
        self.host.own()
        self.listener.listen(int(self.option("hookspool.socket", "Backlog")))
        self.serve()

    def option(self, unit, name):
        return re.search(rf"^{name}=(.*)$", (self.units / unit).read_text(), re.M).group(1)

    def revive(self):
        if not is_alive(self.program.pid):
            self.program.wait()
            self.serve()

    def serve(self):
        command = self.option("hookspool.service", "ExecStart")
        assert command.startswith("/usr/local/bin/hookspool -c /etc/hookspool/hookspool.conf")
        command = command.replace("/usr/local/bin/hookspool", str(self.host.program))
        command = command.replace("/etc/hookspool/hookspool.conf", str(self.host.conf))
        shell = f"LISTEN_FDS=1 LISTEN_PID=$$ exec {command} 3<&{self.listener.fileno()}"
        with open(self.host.folder / "serve.log", "ab") as log:
            self.program = self.host.start(["bash", "-c", shell], pass_fds=[self.listener.fileno()],
                                           stdout=log, stderr=log)


class Caddy(External):
    example = "Caddyfile"

    def names(self):
        return {**super().names(), "hooks.example.org {": f"http://127.0.0.1:{self.port} {{"}

    def command(self, conf):
        return ["env", f"XDG_DATA_HOME={self.host.folder}", f"XDG_CONFIG_HOME={self.host.folder}",
                "caddy", "run", "--adapter", "caddyfile", "--config", conf]

    def around(self, example):
        return f"{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}}\n{example}"


MOUNTS = {
    "lighttpd": Lighttpd,
    "lighttpd, external": LighttpdExternal,
    "Apache mod_fcgid": ApacheFcgid,
    "Apache mod_proxy_fcgi": ApacheProxy,
    "Apache CGI": ApacheCgi,
    "Apache CGI, suEXEC": ApacheSuexec,
    "nginx": Nginx,
    "nginx, systemd socket": NginxSystemd,
    "Caddy": Caddy,
}


class HttpLoad(Load):
    """The same senders, by way of the web server."""

    def __init__(self, mount, ledger, **options):
        super().__init__(None, ledger, **options)
        self.port, self.forgets = mount.port, mount.forgets
        self.unanswered = 0

    def send_until_stopped(self, sender):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10 if self.forgets else 60)
        for marker, body in self.events(sender):
            if self.stopping.is_set():
                break
            self.ledger.sending(marker)
            try:
                connection.request("POST", "/webhook", body, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                self.ledger.answered(marker, Answer(reply.status, {}, reply.read()))
                if reply.status >= 500:
                    time.sleep(0.02)
            except (OSError, http.client.HTTPException) as failure:
                if isinstance(failure, TimeoutError) and not self.forgets:
                    raise
                self.unanswered += 1
                connection.close()
                time.sleep(0.02)
        connection.close()
