//! The real proxies, with the configurations of `deploy`, before two instances.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::eventually;
use super::over_tls::OverTls;
use super::supervised::Supervised;

/// The proxies that there are configurations for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Haproxy,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Nginx, Self::Caddy, Self::Haproxy];

    fn program(self) -> &'static str {
        match self {
            Self::Nginx if Path::new("/usr/sbin/nginx").exists() => "/usr/sbin/nginx",
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
        }
    }

    /// Whether it is installed.
    pub async fn is_here(self) -> bool {
        let argument = if self == Self::Caddy { "version" } else { "-v" };
        let mut command = Command::new(self.program());
        command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().await.is_ok_and(|status| status.success())
    }
}

/// A running proxy. It ends with this.
pub struct Front {
    address: SocketAddr,
    certificate: String,
    _server: Supervised,
}

impl Front {
    /// Before two instances, which say on that port of their addresses whether they are ready.
    pub async fn before(kind: Kind, instances: [SocketAddr; 2], ops_port: u16, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let certificate = certificate.pem();
        std::fs::write(folder.join("certificate.pem"), &certificate).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(folder.join("both.pem"), format!("{certificate}{}", key.serialize_pem())).unwrap();
        // of this machine's addresses one that nobody else listens on
        let [address, plain] =
            [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.4:0").unwrap().local_addr().unwrap());
        let (file, text) = configuration(kind, instances, ops_port, [address, plain], folder);
        std::fs::write(folder.join(file), text).unwrap();
        let mut command = Command::new(kind.program());
        command.current_dir(folder);
        match kind {
            Kind::Nginx => command.arg("-p").arg(folder).args(["-e", "error.log", "-c", file]),
            Kind::Caddy => command.args(["run", "--adapter", "caddyfile", "--config", file]),
            Kind::Haproxy => command.args(["-db", "-f", file]),
        };
        // whatever it keeps, it keeps there
        command.envs([("HOME", folder), ("XDG_DATA_HOME", folder), ("XDG_CONFIG_HOME", folder)]);
        let log = folder.join("said.log");
        let mut server = Supervised::start(&command, &log);
        eventually(&format!("{kind:?} answers"), async || {
            assert!(!server.has_ended(), "{kind:?}: {}", std::fs::read_to_string(&log).unwrap());
            OverTls::connect([127, 0, 0, 1].into(), address, &certificate).await.map(drop)
        })
        .await;
        Self { address, certificate, _server: server }
    }

    /// A browser's connection, from an address of this machine's.
    pub async fn client(&self, from: [u8; 4]) -> OverTls {
        OverTls::connect(from.into(), self.address, &self.certificate).await.expect("the proxy answers")
    }
}

/// The configuration of `deploy`, and the name of its file, with this machine's addresses and files in the place of those that it has.
fn configuration(
    kind: Kind,
    instances: [SocketAddr; 2],
    ops_port: u16,
    [address, plain]: [SocketAddr; 2],
    folder: &Path,
) -> (&'static str, String) {
    let file = match kind {
        Kind::Nginx => "nginx/oncare-live.conf",
        Kind::Caddy => "caddy/Caddyfile",
        Kind::Haproxy => "haproxy/haproxy.cfg",
    };
    let here = folder.display();
    let of_site: Vec<(&str, String)> = match kind {
        Kind::Nginx => vec![
            ("listen 443 ssl", format!("listen {address} ssl")),
            ("listen 80;", format!("listen {plain};")),
            ("server_name live.example", "server_name localhost".to_owned()),
            ("/etc/ssl/live.example.pem", format!("{here}/certificate.pem")),
            ("/etc/ssl/private/live.example.key", format!("{here}/key.pem")),
            ("/var/cache/nginx/oncare-live", format!("{here}/cache")),
        ],
        Kind::Caddy => vec![(
            "\nlive.example {",
            format!(
                "\nhttps://localhost:{} {{\nbind {}\ntls {here}/certificate.pem {here}/key.pem",
                address.port(),
                address.ip()
            ),
        )],
        Kind::Haproxy => vec![
            ("bind :443 ssl", format!("bind {address} ssl")),
            ("bind :80", format!("bind {plain}")),
            ("/etc/haproxy/live.example.pem", format!("{here}/both.pem")),
        ],
    };
    let of_instances = [
        ("10.0.0.11:8080", instances[0].to_string()),
        ("10.0.0.12:8080", instances[1].to_string()),
        ("port 9464", format!("port {ops_port}")),
        ("health_port 9464", format!("health_port {ops_port}")),
    ];
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap();
    let text: String = text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let text = of_site.iter().fold(text, |text, (theirs, ours)| {
        assert!(text.contains(theirs), "{file} has {theirs}");
        text.replace(theirs, ours)
    });
    let text = of_instances.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours));
    let text = match kind {
        // it comes within others' http block
        Kind::Nginx => format!(
            "daemon off; user root; pid {here}/pid; events {{ }}
             http {{
                 access_log off;
                 client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;
                 uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
                 {text}
             }}"
        ),
        Kind::Caddy => format!("{{\nadmin off\nauto_https disable_redirects\n}}\n{text}"),
        Kind::Haproxy => text,
    };
    (file.rsplit('/').next().unwrap(), text)
}
