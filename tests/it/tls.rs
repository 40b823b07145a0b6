//! `sslmode` in the URL means what it means to libpq.

use std::os::unix::fs::PermissionsExt;

use oncare_live::demo::{Cluster, Durability};
use oncare_live::store::{DatabaseUrl, Store};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::harness::database::{connect, temporary_folder};

/// Has the server use a certificate. The server writes the files itself, so that they are its own.
async fn use_certificate(cluster: &Cluster, name: &str, certificate: &str, key: &str) {
    let client = connect(&cluster.url("postgres")).await;
    let folder: String = client.query_one("select current_setting('data_directory')", &[]).await.unwrap().get(0);
    for (file, text) in [(format!("{name}.crt"), certificate), (format!("{name}.key"), key)] {
        let lines = format!("copy (select unnest(string_to_array('{}', E'\\n'))) to '{folder}/{file}'", text.trim());
        client.batch_execute(&lines).await.unwrap();
        std::fs::set_permissions(format!("{folder}/{file}"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    for setting in
        [format!("ssl_cert_file = '{name}.crt'"), format!("ssl_key_file = '{name}.key'"), "ssl = on".to_owned()]
    {
        client.batch_execute(&format!("alter system set {setting}")).await.unwrap();
    }
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    crate::harness::eventually("the server has taken the certificate", async || {
        let client = connect(&cluster.url("postgres")).await;
        let file: String = client.query_one("select current_setting('ssl_cert_file')", &[]).await.unwrap().get(0);
        (file == format!("{name}.crt")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_mode_checks_what_it_promises() {
    let folder = temporary_folder("oncare-live-tls");
    let cluster = Cluster::start(&folder.join("postgresql"), 0, Durability::None).await.unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let signed = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // as `openssl req -x509` makes them
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own_key = KeyPair::generate().unwrap();
    let own = own.self_signed(&own_key).unwrap();
    let files = [("authority", authority.pem()), ("own", own.pem()), ("empty", String::new())];
    let [authority_file, own_file, empty_file] = files.map(|(name, pem)| {
        let file = folder.join(name);
        std::fs::write(&file, pem).unwrap();
        file.to_str().unwrap().to_owned()
    });

    let works = async |host: &str, parameters: &str| {
        let url = cluster.url("postgres").replace("127.0.0.1", host);
        let url = DatabaseUrl::parse(&format!("{url}?{parameters}")).unwrap();
        match Store::new(url, 2) {
            Ok(store) => store.ping().await.is_ok(),
            Err(_) => false,
        }
    };
    assert!(works("localhost", "sslmode=disable").await);
    assert!(!works("localhost", "sslmode=require").await, "the server has no TLS yet");

    use_certificate(&cluster, "signed", &signed.pem(), &key.serialize_pem()).await;
    let by_authority = format!("sslrootcert={authority_file}");
    let by_itself = format!("sslrootcert={own_file}");
    for (host, parameters, expected) in [
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        // whoever names an authority has it verified
        ("127.0.0.1", format!("sslmode=require&{by_authority}"), true),
        ("localhost", format!("sslmode=require&{by_itself}"), false),
        ("localhost", format!("sslmode=prefer&{by_itself}"), false),
        ("localhost", format!("sslmode=prefer&{by_authority}"), true),
        ("localhost", format!("sslmode=disable&{by_itself}"), true),
        ("localhost", "sslmode=require&sslrootcert=/nowhere".to_owned(), false),
        ("localhost", format!("sslmode=require&sslrootcert={empty_file}"), false),
        ("localhost", format!("sslmode=verify-full&{by_authority}"), true),
        ("127.0.0.1", format!("sslmode=verify-full&{by_authority}"), false),
        ("127.0.0.1", format!("sslmode=verify-ca&{by_authority}"), true),
        ("localhost", format!("sslmode=verify-ca&{by_itself}"), false),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere".to_owned(), false),
        ("localhost", "sslmode=verify-full".to_owned(), false),
        ("localhost", "sslrootcert=system".to_owned(), false),
    ] {
        assert_eq!(works(host, &parameters).await, expected, "{host} {parameters}");
    }
    use_certificate(&cluster, "own", &own.pem(), &own_key.serialize_pem()).await;
    for (host, parameters, expected) in [
        ("localhost", format!("sslmode=verify-full&{by_itself}"), true),
        ("127.0.0.1", format!("sslmode=verify-full&{by_itself}"), false),
        ("127.0.0.1", format!("sslmode=verify-ca&{by_itself}"), true),
        ("127.0.0.1", format!("sslmode=require&{by_itself}"), true),
        ("localhost", format!("sslmode=verify-ca&{by_authority}"), false),
        ("localhost", format!("sslmode=require&{by_authority}"), false),
    ] {
        assert_eq!(works(host, &parameters).await, expected, "own: {host} {parameters}");
    }
    cluster.stop().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
