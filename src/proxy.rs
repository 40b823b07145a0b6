//! What a proxy before the host must be told, so that this service stands beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::ValueEnum;

/// A proxy that configurations are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Proxy {
    /// nginx.
    Nginx,
    /// Caddy.
    Caddy,
    /// HAProxy.
    Haproxy,
}

/// What the host's own page asks for, beside the host's own API.
const API: &str = "^/orders/api/(?:sales-rep|pharmacist)/(?:dashboard|changes)/";

/// The streams.
const STREAMS: &str = "/orders/api/(?:sales-rep|pharmacist)/events/$";

/// The host's scripts that ours stand in for, wherever the host has its static files, with or without a hash in their names.
const SCRIPTS: &str = r"/js/(realtime_(?:salesrep_)?dashboard)(?:\.[0-9a-zA-Z]+)?\.js$";

/// The part of a proxy's configuration for a service that listens there and has its pages below that prefix.
#[must_use]
pub fn snippet(proxy: Proxy, listen: SocketAddr, prefix: &str) -> String {
    let service = reachable(listen);
    let rules = match (proxy, prefix) {
        (Proxy::Nginx, "/") => nginx_alone(service),
        (Proxy::Nginx, prefix) => nginx_beside(service, prefix),
        (Proxy::Caddy, "/") => caddy_alone(service),
        (Proxy::Caddy, prefix) => caddy_beside(service, prefix),
        (Proxy::Haproxy, "/") => haproxy_alone(service),
        (Proxy::Haproxy, prefix) => haproxy_beside(service, prefix),
    };
    trust(service) + &rules
}

/// Who connects to an address of its own machine comes from that address.
fn trust(service: SocketAddr) -> String {
    format!(
        "# Where people sign in at oncare-live itself, start it with --trusted-proxy {}, or what else this proxy's address is to it:\n\
         # else all clients count as one, and who guesses passwords slows down everybody.\n",
        service.ip()
    )
}

/// A service that listens on all addresses is asked on the machine's own.
#[must_use]
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// A location of nginx, which passes requests on as they came.
fn location(what: &str, service: SocketAddr, more: &str) -> String {
    format!(
        "location {what} {{
    proxy_pass http://{service};
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header Forwarded \"\";
{more}}}
"
    )
}

/// A stream says nothing for up to 15 s, and has no end.
const UNBUFFERED: &str = "    proxy_buffering off;
    proxy_cache off;
    gzip off;
    proxy_read_timeout 1h;
";

fn nginx_beside(service: SocketAddr, prefix: &str) -> String {
    let root = prefix.trim_end_matches('/');
    let script = format!(
        "    # what the host's own rule for static files says, that a browser may keep it, must not hold for these
    rewrite {SCRIPTS} {prefix}static/js/$1.js break;
    expires off;
    proxy_hide_header Cache-Control;
    add_header Cache-Control \"no-cache\";
"
    );
    [
        "# oncare-live: into the host's server block, before every other rule with ~. A rule of the host's with ^~ for its static files\n\
         # would come before the last one: leave out its ^~.\n"
            .to_owned(),
        location(&format!("= {root}"), service, ""),
        // none of the rules with ~ holds there: the module of our own page has the name of the host's script
        location(&format!("^~ {prefix}"), service, ""),
        location(&format!("^~ {root}/orders/api/"), service, UNBUFFERED),
        location(&format!("~ ^{STREAMS}"), service, UNBUFFERED),
        location(&format!("~ {API}"), service, ""),
        location(&format!("~ {SCRIPTS}"), service, &script),
    ]
    .concat()
}

fn nginx_alone(service: SocketAddr) -> String {
    let comment = "# oncare-live: into a server block of its own, as its pages have no prefix\n".to_owned();
    [comment, location("/", service, ""), location(&format!("~ ^{STREAMS}"), service, UNBUFFERED)].concat()
}

/// Which of several `handle` Caddy looks at first depends on where they stand, and on their paths. It rewrites before it looks at any:
/// so what is asked of the host's paths is led below our prefix, where the service has it as well.
fn caddy_beside(service: SocketAddr, prefix: &str) -> String {
    let root = prefix.trim_end_matches('/');
    format!(
        "# oncare-live: into the host's site block
@oncare_live_api path_regexp ^(?:{api}|{STREAMS})
rewrite @oncare_live_api {root}{{uri}}
@oncare_live_script {{
    not path {prefix}*
    path_regexp script {SCRIPTS}
}}
header @oncare_live_script {{
    Cache-Control no-cache
    defer
}}
rewrite @oncare_live_script {prefix}static/js/{{re.script.1}}.js
@oncare_live path {root} {prefix}*
handle @oncare_live {{
    reverse_proxy {service} {{
        flush_interval -1
        header_up -Forwarded
    }}
}}
",
        api = API.trim_start_matches('^'),
    )
}

fn caddy_alone(service: SocketAddr) -> String {
    format!(
        "# oncare-live: into a site block of its own, as its pages have no prefix
reverse_proxy {service} {{
    flush_interval -1
    header_up -Forwarded
}}
"
    )
}

fn haproxy_beside(service: SocketAddr, prefix: &str) -> String {
    let root = prefix.trim_end_matches('/');
    let api = API.trim_start_matches('^');
    // the module of our own page has the name of the host's script
    let script =
        format!("http-request replace-path '^.*{SCRIPTS}' '{prefix}static/js/\\1.js' unless {{ path_beg {prefix} }}");
    format!(
        "# oncare-live: into the host's frontend, before its own use_backend
acl oncare_live path {root}
acl oncare_live path_beg {prefix}
acl oncare_live path_reg '^(?:{api}|{STREAMS})'
acl oncare_live path_reg '{SCRIPTS}'
use_backend oncare_live if oncare_live

"
    ) + &haproxy_backend(service, &format!("    {script}\n"))
}

fn haproxy_alone(service: SocketAddr) -> String {
    "# oncare-live: into a frontend of its own, as its pages have no prefix
default_backend oncare_live

"
    .to_owned()
        + &haproxy_backend(service, "")
}

/// HAProxy passes on what comes as it comes.
fn haproxy_backend(service: SocketAddr, more: &str) -> String {
    format!(
        "# and after all frontends. Of the frontend it asks for a `timeout client` of more than 15 s, as streams may say nothing for so long.
backend oncare_live
    timeout server 1h
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request del-header Forwarded
{more}    server oncare_live {service}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_asked_where_it_listens() {
        for (listen, asked) in
            [("127.0.0.1:8080", "127.0.0.1:8080"), ("0.0.0.0:9000", "127.0.0.1:9000"), ("[::]:9000", "[::1]:9000")]
        {
            for proxy in Proxy::value_variants() {
                for prefix in ["/", "/live/"] {
                    let snippet = snippet(*proxy, listen.parse().unwrap(), prefix);
                    assert!(snippet.contains(asked), "{snippet}");
                    assert_eq!(prefix == "/live/", snippet.contains("/live"), "{snippet}");
                    let address = asked.rsplit_once(':').unwrap().0.trim_matches(['[', ']']);
                    assert!(snippet.contains(&format!("--trusted-proxy {address},")), "{snippet}");
                }
            }
        }
    }
}
