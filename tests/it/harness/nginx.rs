//! A real nginx before the shop and the service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::eventually;
use super::instance::free_address;
use super::service::Service;
use super::shop::Shop;
use super::supervised::Supervised;

/// What leads to the service instead of the shop.
pub const RULES: &str = r"
location ~ ^/orders/api/(sales-rep|pharmacist)/ { proxy_pass http://live; }
";

/// Everything leads to the service.
pub const ALL_TO_SERVICE: &str = "location ~ ^/ { proxy_pass http://live; }";

/// The same with what configurations have that were written for WebSockets.
pub const UPGRADED: &str = r#"
proxy_http_version 1.1;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection "upgrade";
location ~ ^/ { proxy_pass http://live; }
"#;

/// What every request is passed on with.
const PASSED_ON: &str = r"
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
";

/// A running nginx. It ends with this.
pub struct Nginx {
    /// Plain HTTP: the shop, with what leads to the service.
    pub front: SocketAddr,
    /// The same over TLS, with HTTP/2.
    pub tls: SocketAddr,
    /// The shop alone, as it was before.
    pub shop: SocketAddr,
    /// Where its configuration is, `nginx.conf`, and what it writes.
    pub folder: PathBuf,
    _server: Supervised,
}

impl Nginx {
    /// Before a shop and the service beside it, with nginx' defaults and the given rules.
    pub async fn before(shop: &Shop, service: &Service, rules: &str) -> Self {
        Self::before_address(shop, service.web, rules).await
    }

    /// Before a shop that knows of no service.
    pub async fn before_alone(shop: &Shop) -> Self {
        Self::before_address(shop, free_address(), "").await
    }

    async fn before_address(shop: &Shop, service: SocketAddr, rules: &str) -> Self {
        // of a port that was free a moment ago somebody else may be quicker
        for attempt in 0..5 {
            if let Some(nginx) = Self::try_before(shop, service, rules, attempt).await {
                return nginx;
            }
        }
        panic!("nginx does not start: {}", std::fs::read_to_string(shop.folder.join("nginx.log")).unwrap());
    }

    async fn try_before(shop: &Shop, service: SocketAddr, rules: &str, attempt: usize) -> Option<Self> {
        let (front, tls, alone) = (free_address(), free_address(), free_address());
        let folder = shop.folder.join(format!("nginx-{attempt}-{}", front.port()));
        std::fs::create_dir_all(&folder).unwrap();
        make_certificate(&folder);
        let text = configuration(&folder, shop, service, [front, tls, alone], rules);
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program());
        command.args(arguments(&folder));
        let mut server = Supervised::start(&command, &shop.folder.join("nginx.log"));
        let own = folder.display().to_string();
        let is_up = eventually("nginx and the shop answer, or nginx has ended", async || {
            if server.has_ended() {
                return Some(false);
            }
            let says = async |path: &str| reqwest::get(format!("http://{alone}{path}")).await.ok()?.text().await.ok();
            let is_ours = says("/which-nginx").await? == own;
            (is_ours && says("/accounts/login/").await?.contains("csrfmiddlewaretoken")).then_some(true)
        });
        is_up.await.then_some(Self { front, tls, shop: alone, folder, _server: server })
    }

    /// A shell command that is this nginx.
    pub fn command(&self) -> String {
        let words: Vec<String> = arguments(&self.folder).iter().map(|word| format!("'{}'", word.display())).collect();
        format!("'{}' {}", program().display(), words.join(" "))
    }

    /// Has it read its configuration anew.
    pub fn reload(&self) {
        let pid = std::fs::read_to_string(self.folder.join("nginx.pid")).unwrap();
        assert!(std::process::Command::new("kill").args(["-HUP", pid.trim()]).status().unwrap().success());
    }

    /// The address of plain pages.
    pub fn base(&self) -> String {
        format!("http://{}", self.front)
    }
}

fn program() -> PathBuf {
    let elsewhere = PathBuf::from("/usr/sbin/nginx");
    if elsewhere.exists() { elsewhere } else { "nginx".into() }
}

fn arguments(folder: &Path) -> [PathBuf; 6] {
    let [configuration, log] = ["nginx.conf", "error.log"].map(|name| folder.join(name));
    ["-p".into(), folder.to_owned(), "-c".into(), configuration, "-e".into(), log]
}

fn make_certificate(folder: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join("certificate.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// Its worker stays who it was, also where that is root, so that it reaches the sockets. What Debian's own configuration has, gzip of everything included.
fn configuration(folder: &Path, shop: &Shop, service: SocketAddr, addresses: [SocketAddr; 3], rules: &str) -> String {
    let [front, tls, alone] = addresses;
    let folder = folder.display();
    let (socket, files) = (shop.socket(), shop.static_files());
    let of_shop = format!(
        "location /static/ {{
            alias {files}/;
            expires 30d;
            add_header Cache-Control \"public, immutable\";
        }}
        location / {{ proxy_pass http://shop; }}
        {PASSED_ON}",
        files = files.display()
    );
    format!(
        "daemon off;
        user root;
        pid {folder}/nginx.pid;
        events {{ worker_connections 512; }}
        http {{
            types {{ text/html html; text/css css; application/javascript js; image/svg+xml svg; }}
            access_log off;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            gzip on;
            gzip_proxied any;
            gzip_min_length 0;
            gzip_types *;
            upstream shop {{ server unix:{socket}; }}
            upstream live {{ server {service}; }}
            server {{
                listen {front};
                listen {tls} ssl http2;
                ssl_certificate {folder}/certificate.pem;
                ssl_certificate_key {folder}/key.pem;
                server_name 127.0.0.1;
                {rules}
                {of_shop}
            }}
            server {{
                listen {alone};
                location = /which-nginx {{ return 200 \"{folder}\"; }}
                {of_shop}
            }}
        }}",
        socket = socket.display()
    )
}
