//! Brokers: their URLs in every form that kombu takes (what is expected here was asked of kombu 5.6 itself), and their settings.

use super::*;
use crate::error::Kind;
use proptest::prelude::*;
use secrecy::ExposeSecret;

fn one(url: &str) -> BrokerUrl {
    let mut all = BrokerUrl::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
    assert_eq!(all.len(), 1, "{url}");
    all.remove(0)
}

fn password(url: &BrokerUrl) -> Option<&str> {
    url.password.as_ref().map(|p| p.expose_secret())
}

fn refusal(url: &str) -> String {
    let error = BrokerUrl::parse(url).expect_err(url);
    assert_eq!(error.kind(), Kind::Config, "{url}");
    error.what_happened().to_string()
}

#[test]
fn urls_mean_what_they_mean_to_kombu() {
    for (url, says, user, secret) in [
        ("redis://h", "h:6379/0", None, None),
        ("redis://u:p%40%3A@h:1/3", "h:1/3", Some("u"), Some("p@:")),
        ("redis://:p@q@h/1", "h:6379/1", None, Some("p@q")),
        ("redis://:%2F%3F%23%25%40%3B@h:6380/", "h:6380/0", None, Some("/?#%@;")),
        ("redis:///2", "127.0.0.1:6379/2", None, None),
        ("redis://", "127.0.0.1:6379/0", None, None),
        ("redis://[::1]:7/2", "[::1]:7/2", None, None),
        ("redis://h//4", "h:6379/4", None, None),
        ("REDIS://H/1", "h:6379/1", None, None),
        ("redis://h/%31", "h:6379/1", None, None),
        ("redis://h:/1", "h:6379/1", None, None),
        ("redis://u@h", "h:6379/0", Some("u"), None),
        (" redis://my_redis.shop.svc/0\n", "my_redis.shop.svc:6379/0", None, None),
        ("redis+socket:///tmp/r.sock?virtual_host=2", "/tmp/r.sock db 2", None, None),
        ("redis+socket://:pw@/tmp/r.sock", "/tmp/r.sock db 0", None, Some("pw")),
        ("sentinel://a", "sentinels a:26379 db 0", None, None),
        ("sentinel://:pw@a:1/4;sentinel://b/4;", "sentinels a:1, b:26379 db 4", None, Some("pw")),
    ] {
        let parsed = one(url);
        assert_eq!((parsed.says().as_str(), parsed.user.as_deref(), password(&parsed)), (says, user, secret), "{url}");
        assert!(parsed.tls.is_none() && parsed.warnings.is_empty(), "{url}");
    }
}

#[test]
fn the_first_sentinel_url_decides() {
    let url = one("sentinel://:pw@a:26379;sentinel://b:26379/4");
    assert_eq!((url.db, password(&url)), (0, Some("pw")));
    assert_eq!(
        url.warnings,
        ["Celery takes the database from the first sentinel URL, so it uses 0; the 4 of a later one counts for nothing".into()]
    );
    assert_eq!(refusal("sentinel://a;redis://b"), "sentinel:// stands beside other schemes: Celery takes all of one kind");
}

#[test]
fn several_brokers_stay_in_order() {
    let all = BrokerUrl::parse("redis://:a@one/1; rediss://:b@two/2").expect("two");
    assert_eq!(all.iter().map(|b| b.says().to_string()).collect::<Vec<_>>(), ["one:6379/1", "two:6379/2"]);
    assert_eq!(all.iter().map(password).collect::<Vec<_>>(), [Some("a"), Some("b")]);
}

#[test]
fn tls_is_verified_unless_the_url_says_otherwise() {
    let tls = |url: &str| one(url).tls.expect(url);
    assert_eq!(tls("rediss://h").verify, Verify::Full);
    assert_eq!(tls("rediss://h?ssl_cert_reqs=CERT_OPTIONAL").verify, Verify::Full);
    let full = tls("rediss://h/0?ssl_cert_reqs=required&ssl_ca_certs=%2Fx%2Fca.pem&ssl_certfile=/c&ssl_keyfile=/k&socket_timeout=3");
    assert_eq!(full, UrlTls { verify: Verify::Full, ca: Some("/x/ca.pem".into()), cert: Some("/c".into()), key: Some("/k".into()) });
    for (url, verify, warning) in [
        ("rediss://h?ssl_cert_reqs=none", Verify::Nothing, "the broker's certificate is not verified: its URL says ssl_cert_reqs=none"),
        ("redis://h?ssl_cert_reqs=CERT_NONE", Verify::Nothing, "the broker's certificate is not verified: its URL says ssl_cert_reqs=none"),
        (
            "rediss://h?ssl_check_hostname=False",
            Verify::Chain,
            "the name in the broker's certificate is not verified: its URL says ssl_check_hostname=false",
        ),
    ] {
        let parsed = one(url);
        assert_eq!((parsed.tls.map(|t| t.verify), parsed.warnings), (Some(verify), vec![warning.into()]), "{url}");
    }
    assert_eq!(refusal("rediss://h?ssl_cert_reqs=maybe"), "ssl_cert_reqs is one of required, optional, none");
}

#[test]
fn other_brokers_are_refused_with_the_reason() {
    for (url, name) in [
        ("amqp://u:hunter2@h//", "RabbitMQ (AMQP)"),
        ("pyamqp://guest@localhost//", "RabbitMQ (AMQP)"),
        ("amqps://h", "RabbitMQ (AMQP)"),
        ("sqs://AKIA:hunter2@", "Amazon SQS"),
        ("redis+cluster://h", "a Redis Cluster"),
        ("memory://", "in memory or in files"),
        ("sqla+x://h", ""),
    ] {
        let found = refusal(url);
        if !name.is_empty() {
            assert_eq!(found, format!("the broker is {name}: obsctl reads Celery's queues on Redis only"));
        }
    }
    assert_eq!(refusal("redis"), "each broker begins with its scheme");
    assert_eq!(refusal("redis://a;b"), "each broker begins with its scheme");
    assert_eq!(refusal(" "), "it is empty");
    assert_eq!(refusal("redis://h/abc"), "the database of a Redis is a number: redis://host:6379/0");
    assert_eq!(refusal("redis+socket://"), "no path of a socket: redis+socket:///run/redis.sock?virtual_host=0");
    assert_eq!(refusal("redis://[::x]:1"), "the host in brackets is no IPv6 address");
    assert_eq!(refusal("redis://a b"), "the host is no host name");
}

#[test]
fn a_password_that_is_not_encoded_is_said_and_not_shown() {
    let word = "behind the host stands no port, or an @ stands behind the host: a password with / ? # @ : in it is percent-encoded";
    for url in
        ["redis://:hunter/2@h/1", "redis://:12/hunter2@h", "redis://:p#q@h", "redis://:12?q@h", "redis://:p@hunter/2@h", "redis://u:x:y"]
    {
        assert_eq!(refusal(url), word, "{url}");
    }
}

#[test]
fn a_broker_in_parts() {
    let of = |host, port, db| BrokerUrl::of_parts(host, port, None, Some("".into()), db);
    let says = |host, port, db| of(host, port, db).expect("good parts").says().to_string();
    assert_eq!(says("redis", None, None), "redis:6379/0");
    assert_eq!(says("redis:7000", Some(""), Some("3")), "redis:7000/3");
    assert_eq!(says("10.0.0.7", Some("6380"), Some("")), "10.0.0.7:6380/0");
    assert!(of("redis", None, None).expect("good parts").password.is_none());
    for (host, port, db) in [("redis://h", None, None), ("h", Some("http"), None), ("h", Some("0"), None), ("h", None, Some("main"))] {
        assert!(of(host, port, db).is_err(), "{host} {port:?} {db:?}");
    }
}

const FULL: &str = "\
environments:
  a:
    apps: {backend: {selector: app=backend}}
    broker:
      url: {workload: deployment/backend, env: CELERY_BROKER_URL}
      via: exec
      relay: backend
      ca: {secret: redis-ca, key: ca.crt}
      cert: {file: c.pem}
      key: {file: k.pem}
      verify: true
      master_name: mymaster
      sentinel_user: watcher
      sentinel_password: {secret: redis, key: sentinel}
      visibility_timeout: 2h
      key_prefix: 'shop:'
      priority_steps: [0, 5, 9]
      sep: ':'
      unacked_key: un
      unacked_index_key: un_index
      queues: [celery, mail]
      thresholds: {oldest_warning: 1m, oldest_failed: 20m, growing_oldest_failed: 3m, empty_in_warning: 5m, stuck_after: 90s}
";

#[test]
fn every_key_of_a_broker() {
    let env = Machine::new().own(FULL).env();
    let broker = env.broker.as_ref().expect("a broker");
    assert!(matches!(&broker.endpoint.address, Address::Url(Sourced { value: SecretRef::Workload { kind, name, env }, .. })
        if (kind.as_str(), name.as_str(), env.as_str()) == ("deployment", "backend", "CELERY_BROKER_URL")));
    assert_eq!(
        (broker.endpoint.via, broker.endpoint.relay.as_deref(), broker.endpoint.tls.verify),
        (Via::Exec, Some("backend"), Some(true))
    );
    let transport = &broker.transport;
    assert_eq!(transport.visibility_timeout, Some(jiff::SignedDuration::from_hours(2)));
    assert_eq!(
        (transport.key_prefix.as_str(), transport.sep.as_str(), transport.priority_steps.as_slice()),
        ("shop:", ":", &[0, 5, 9][..])
    );
    assert_eq!((transport.unacked_key.as_str(), transport.unacked_index_key.as_str()), ("un", "un_index"));
    assert_eq!((transport.queues.as_slice(), transport.master_name.as_deref()), (&["celery".into(), "mail".into()][..], Some("mymaster")));
    assert_eq!(broker.thresholds.stuck_after, jiff::SignedDuration::from_secs(90));
    assert_eq!(env.addresses().count(), 6);
    for (key, shown) in [
        ("broker.url", "<secret, from deployment/backend variable CELERY_BROKER_URL>"),
        ("broker.ca", "<from secret/redis-ca key ca.crt>"),
        ("broker.sentinel_password", "<secret, from secret/redis key sentinel>"),
        ("broker.priority_steps", "0, 5, 9"),
        ("broker.thresholds.oldest_failed", "20m"),
        ("broker.verify", "true"),
    ] {
        assert_eq!(shown_of(&env, key), shown, "{key}");
    }
}

#[test]
fn a_broker_of_thresholds_only_is_where_the_apps_say() {
    let env = Machine::new().own("environments: {a: {broker: {queues: [celery], thresholds: {}}}}").env();
    let broker = env.broker.expect("a broker");
    assert!(matches!(broker.endpoint.address, Address::Apps));
    assert_eq!(broker.thresholds, QueueThresholds::default());
    assert_eq!(broker.transport.sep, "\x06\x16");
}

proptest! {
    #[test]
    fn never_panics_on_any_text(text in "\\PC{0,80}") {
        let _ = BrokerUrl::parse(&text);
    }

    #[test]
    fn never_panics_on_nearly_a_url(
        parts in prop::collection::vec(prop::sample::select(vec!["redis://", "rediss://", "redis+socket://", "sentinel://", ":", "@", "/", "?", "#", ";", "&",
            "=", "%", "%4", "%40", "[", "]", "::1", "h", "6379", "ssl_cert_reqs=none", "virtual_host=", "é", "\u{0}"]), 0..24)
    ) {
        let _ = BrokerUrl::parse(&parts.concat());
    }

    /// Encoded it is understood; not encoded it may be refused. It is shown in neither case.
    #[test]
    fn a_password_stands_in_no_word(secret in "[A-Z]{6}[@:/?#;%&= A-Z0-9]{0,4}[A-Z]{6}", scheme in prop::sample::select(vec!["redis", "rediss", "sentinel", "amqp", "x"])) {
        let encoded: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
        for text in [format!("{scheme}://u:{encoded}@h:1/2"), format!("{scheme}://:{secret}@h:1/2"), format!("{scheme}://{secret}"), secret.clone()] {
            let said = match BrokerUrl::parse(&text) {
                Ok(all) => format!("{:?} {:?}", all.iter().map(BrokerUrl::says).collect::<Vec<_>>(), all.iter().map(|b| &b.warnings).collect::<Vec<_>>()),
                Err(error) => format!("{} {:?}", error.says(), error.hints()),
            };
            // Alone behind the scheme it is a host.
            let ((head, _), (_, tail)) = (secret.split_at(6), secret.split_at(secret.len() - 6));
            prop_assert!(text.ends_with(&secret) || !said.contains(head) && !said.contains(tail), "{said}\n{text}");
        }
        if let (false, Ok(all)) = (scheme == "amqp" || scheme == "x", BrokerUrl::parse(&format!("{scheme}://u:{encoded}@h:1/2"))) {
            prop_assert_eq!(password(&all[0]), Some(secret.as_str()));
        }
    }
}
