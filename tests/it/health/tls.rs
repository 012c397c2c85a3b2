//! Certificates: good, near their end, past it, for another name, signed by nobody. The request is sent only where all is well.

use super::health;
use lab::{
    get, ports,
    sandbox::Profile,
    web::{Authority, Nginx, Signed},
};

#[test]
fn each_certificate_is_told_apart() {
    let authority = Authority::new("lab web authority").unwrap();
    let own = &["127.0.0.1"][..];
    let all: Vec<(&str, Signed)> = vec![
        ("good", authority.sign("good", own, -1..90).unwrap()),
        ("near", authority.sign("near", own, -80..9).unwrap()),
        ("nearer", authority.sign("nearer", own, -80..1).unwrap()),
        ("expired", authority.sign("expired", own, -90..-3).unwrap()),
        ("future", authority.sign("future", own, 5..90).unwrap()),
        ("other", authority.sign("other", &["other.example"], -1..90).unwrap()),
        ("self", authority.self_signed("self", own).unwrap()),
        ("chain", authority.broken_chain("chain", own).unwrap()),
    ];
    let mut blocks = String::new();
    let mut at = Vec::new();
    for (name, Signed { certificate, key }) in &all {
        let port = ports::free().unwrap();
        blocks.push_str(&format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; default_type application/json;
              location /down {{ return 302 http://127.0.0.1:{port}/; }} location / {{ return 200 '{{\"status\":\"ok\"}}'; }} }}\n",
            certificate.display(),
            key.display()
        ));
        at.push((*name, port));
    }
    let _nginx = Nginx::start(&blocks, at[0].1).unwrap();
    let port = |name: &str| at.iter().find(|(n, _)| *n == name).unwrap().1;
    let ask = |name: &str, path: &str| {
        health(&format!("https://127.0.0.1:{}{path}", port(name))).var("SSL_CERT_FILE", authority.ca().to_str().unwrap()).run()
    };
    ask("good", "/").ends(0).shows(&["1 URL is well", "cert 90d", "tls"]);
    ask("near", "/").ends(0).shows(&["WARN", "its certificate ends in 9 days"]);
    ask("nearer", "/").ends(1).shows(&["its certificate ends in 1 day,"]);
    ask("expired", "/").ends(1).shows(&["its certificate is refused: it expired 3d", "cert ended"]);
    ask("future", "/").ends(1).shows(&["it is good only in"]);
    ask("other", "/").ends(1).shows(&["it is for other.example, not for 127.0.0.1"]);
    ask("self", "/").ends(1).shows(&["it signed itself", "apps.NAME.health.ca"]);
    ask("other", "/").ends(1).never_says(&["health.ca"]);
    ask("chain", "/").ends(1).shows(&["no authority of this machine signed it", "leaves an intermediate out"]);
    ask("good", "/down").ends(3).shows(&["from https to http: not followed"]);
    // The date is known though the certificate was refused.
    let words = format!("-o json https://127.0.0.1:{}/", port("expired"));
    let json = health(&words).var("SSL_CERT_FILE", authority.ca().to_str().unwrap()).run().ends(1).json();
    let certificate = &json["facts"]["targets"][0]["exchange"]["certificate"];
    assert!(certificate["not_after"].is_string() && certificate["verified"] == false, "{certificate}");
    let plain = health(&format!("http://127.0.0.1:{}/", port("good"))).run();
    assert!(plain.out.contains("400"), "{}", plain.out);
    let wrong = health(&format!("https://127.0.0.1:{}/", lab::ports::free().unwrap())).run().ends(1);
    assert!(wrong.out.contains("nothing listens there"), "{}", wrong.out);
}

#[test]
fn the_bad_certificates_of_the_sandbox_are_found() {
    // One process more: it harms none of the others.
    let sandbox = get().sandbox_local(Profile::A);
    let harmed = sandbox.traffic().harm("bad-certificate", &[]).unwrap();
    let port = sandbox.ports["tls-front-1"];
    let ask = |host: &str| health(&format!("https://{host}:{port}/api/health/"));
    // Also where nobody trusts its authority, the end of its time is what is said.
    ask("127.0.0.1").run().ends(1).shows(&["its certificate is refused: it expired 3d", "cert ended 3d ago"]);
    ask("localhost").run().ends(1).shows(&["no authority of this machine signed it"]);
    let authority = sandbox.secret("tls-front", "CA");
    let trusting = |host: &str| ask(host).var("SSL_CERT_FILE", authority.to_str().unwrap()).run();
    trusting("127.0.0.1").ends(1).shows(&["its certificate is refused: it expired 3d"]);
    trusting("localhost").ends(1).shows(&["it is for intranet.example, not for localhost"]);
    harmed.restore().unwrap();
    trusting("127.0.0.1").ends(1).shows(&["nothing listens there"]);
}
