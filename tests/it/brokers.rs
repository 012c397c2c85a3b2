//! The way to a broker, on real servers of this machine: passwords and users, a socket, TLS, sentinels, lists, and what is said when a
//! way does not lead there. Ways through a cluster are in `cluster/reach.rs`.

use jiff::tz::TimeZone;
use lab::{RedisOptions, RedisServer, Sentinels, eventually, get};
use obsctl::{
    answer::Hint,
    config::{Inputs, Origin, SecretRef, Sourced, TlsSettings, UrlTls, Vars, Verify, load},
    connect::{
        broker::BrokerLink,
        redis::{Read, Redis},
        route::Route,
        secret::Secrets,
        tls::Tls,
    },
    error::{Error, Kind},
    session::{Session, Stop},
    text::Redactor,
};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::runtime::Runtime;

/// What tests of the library's own doors run on.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// A link as the configuration describes it; `broker` is the YAML below that key.
fn link(broker: &str) -> Result<Arc<BrokerLink>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("obsctl.yaml");
    std::fs::write(&file, format!("environments:\n  a:\n    apps: {{web: {{files: [x.log]}}}}\n    broker: {broker}\n")).unwrap();
    let vars = Vars::of([("HOME", folder.path())]);
    let env = load(&Inputs { config: Some(file), vars, cwd: folder.path().to_owned(), ..Inputs::default() })?;
    let session = Session::new(env, None, Redactor::default(), Stop::default(), TimeZone::UTC);
    RUNTIME.block_on(session.broker())
}

fn open(broker: &str) -> Result<(Arc<BrokerLink>, Redis), Error> {
    let link = link(broker)?;
    let redis = RUNTIME.block_on(link.open())?;
    Ok((link, redis))
}

/// How many messages its queue `celery` has.
fn length(redis: &Redis) -> Option<u64> {
    RUNTIME.block_on(redis.ask(&[Read::Llen(b"celery".to_vec())])).unwrap()[0].count()
}

fn filled(options: RedisOptions, messages: usize) -> RedisServer {
    let server = get().redis_with(options);
    for n in 0..messages {
        server.cli(&["LPUSH", "celery", &n.to_string()]);
    }
    server
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn passwords_users_and_parts() {
    let server = filled(
        RedisOptions {
            password: Some("p@ss/w:rd#?".into()),
            acl: vec!["user reader on >hunter2 ~* +@all".into()],
            ..RedisOptions::default()
        },
        2,
    );
    let port = server.port();
    for broker in [
        format!("{{url: 'redis://:p%40ss%2Fw%3Ard%23%3F@127.0.0.1:{port}/0'}}"),
        format!("{{url: {}, via: direct}}", quoted(&server.url_for("reader", "hunter2", 0))),
        format!("{{host: 127.0.0.1, port: {port}, password: {}, db: 0}}", quoted("p@ss/w:rd#?")),
        format!("{{host: 127.0.0.1, port: {port}, user: reader, password: {{command: [printf, hunter2]}}}}"),
        // The first of the list is not there: Celery goes on to the next one, and so does this.
        format!("{{url: {}}}", quoted(&format!("redis://127.0.0.1:1/0;{}", server.url_for("reader", "hunter2", 0)))),
    ] {
        let (link, redis) = open(&broker).unwrap_or_else(|e| panic!("{broker}: {e}"));
        assert_eq!(length(&redis), Some(2), "{broker}");
        assert_eq!(link.route().unwrap().as_str(), "direct");
        assert!(!format!("{} {:?}", link.at(), link.from).contains("hunter2"));
    }
    let error = open(&format!("{{url: 'redis://:wrong@127.0.0.1:{port}/0'}}")).err().unwrap();
    assert_eq!(error.kind(), Kind::Auth, "{error:?}");
    let error = open("{url: 'redis://127.0.0.1:1/0'}").err().unwrap();
    assert_eq!(error.says().as_str(), "connecting to 127.0.0.1:1: it refuses connections: nothing listens there");
    let error = open("{url: 'redis://no.such.host.invalid/0'}").err().unwrap();
    assert_eq!((error.kind(), error.what_happened().as_str()), (Kind::Unreachable, "the host name does not resolve"));
    let error = open("{url: 'redis://127.0.0.1/0', via: exec}").err().unwrap();
    assert!(error.what_happened().contains("via: exec leads through a cluster"), "{error:?}");
}

#[test]
fn a_socket_of_this_machine() {
    let server = filled(RedisOptions { socket: true, ..RedisOptions::default() }, 3);
    let (link, redis) = open(&format!("{{url: {}}}", quoted(&server.socket_url(0)))).unwrap();
    assert_eq!((length(&redis), link.route().unwrap().as_str()), (Some(3), "direct"));
    let error = open("{url: 'redis+socket:///no/such.sock'}").err().unwrap();
    assert_eq!(error.what_happened().as_str(), "there is no such socket on this machine");
}

#[test]
fn tls_is_verified_unless_it_is_turned_off_by_name() {
    let server = filled(RedisOptions { tls: true, password: Some("pw".into()), ..RedisOptions::default() }, 1);
    let (port, ca) = (server.port(), server.ca().unwrap());
    let bare = format!("rediss://:pw@127.0.0.1:{port}/0");
    // Its own URL names the authority; so does the configuration.
    for broker in [
        format!("{{url: {}}}", quoted(&server.url())),
        format!("{{url: '{bare}', ca: {{file: {}}}}}", ca.display()),
        format!("{{url: 'redis://:pw@127.0.0.1:{port}/0', ca: {{file: {}}}}}", ca.display()),
        format!("{{url: '{bare}?ssl_cert_reqs=none', ca: {{file: {}}}, verify: true}}", ca.display()),
    ] {
        let (link, redis) = open(&broker).unwrap_or_else(|e| panic!("{broker}: {e}"));
        assert_eq!(length(&redis), Some(1), "{broker}");
        assert_eq!(link.warnings.iter().filter(|w| w.contains("not verified")).count(), usize::from(broker.contains("none")), "{broker}");
    }
    for (broker, warning) in [
        (format!("{{url: '{bare}?ssl_cert_reqs=none'}}"), "its URL says ssl_cert_reqs=none"),
        (format!("{{url: '{bare}', verify: false}}"), "the configuration says verify: false"),
    ] {
        let (link, redis) = open(&broker).unwrap_or_else(|e| panic!("{broker}: {e}"));
        assert_eq!(length(&redis), Some(1));
        assert!(link.warnings.iter().any(|w| w.contains(warning)), "{:?}", link.warnings);
    }
    let error = open(&format!("{{url: '{bare}'}}")).err().unwrap();
    assert_eq!(error.kind(), Kind::Tls, "{error:?}");
    assert_eq!(error.what_happened().as_str(), "its certificate is signed by nobody whom this machine trusts");
    assert!(matches!(&error.hints()[0], Hint::Set(set) if set.starts_with("ca: ")));
    let error = open(&format!("{{url: '{bare}?ssl_ca_certs=/app/ca.pem'}}")).err().unwrap();
    assert!(
        matches!(&error.hints()[0], Hint::Set(set) if set.contains("/app/ca.pem of the application's own machine")),
        "{:?}",
        error.hints()
    );
    // TLS to a server without it, and the other way round.
    let plain = get().redis();
    let error = open(&format!("{{url: 'rediss://127.0.0.1:{}/0', verify: false}}", plain.port())).err().unwrap();
    // A Redis waits for the rest of what it takes for a command.
    assert!(matches!(error.kind(), Kind::Tls | Kind::Timeout) && error.hints().len() == 1, "{error:?}");
    let error = open(&format!("{{url: 'redis://:pw@127.0.0.1:{port}/0'}}")).err().unwrap();
    assert!(matches!(error.kind(), Kind::Protocol | Kind::Unreachable | Kind::Tls), "{error:?}");
}

#[test]
fn a_certificate_is_held_to_the_name_that_was_meant() {
    let server = get().redis_with(RedisOptions { tls: true, ..RedisOptions::default() });
    let ca = Sourced::new(SecretRef::File(server.ca().unwrap()), Origin::Default);
    let settings = TlsSettings { ca: Some(ca), ..TlsSettings::default() };
    let secrets = Secrets::new(Redactor::default());
    let over = |verify: Verify, host: &str| {
        RUNTIME.block_on(async {
            let said = UrlTls { verify, ..UrlTls::default() };
            let tls = Tls::new(&settings, Some(&said), &secrets, true, &mut Vec::new()).await?;
            // As through a tunnel: the bytes go one way, the name is another.
            let stream = Route::Direct.dial("127.0.0.1", server.port()).await?;
            tls.over(stream, host).await.map(drop)
        })
    };
    over(Verify::Full, "127.0.0.1").unwrap();
    let error = over(Verify::Full, "redis.example.org").unwrap_err();
    assert_eq!(error.what_happened().as_str(), "its certificate is for another name than redis.example.org");
    over(Verify::Chain, "redis.example.org").unwrap();
    over(Verify::Nothing, "redis.example.org").unwrap();
    // The signature counts without the name, too.
    let other = get().redis_with(RedisOptions { tls: true, ..RedisOptions::default() });
    let error = open(&format!(
        "{{url: 'rediss://127.0.0.1:{}?ssl_check_hostname=false', ca: {{file: {}}}}}",
        server.port(),
        other.ca().unwrap().display()
    ));
    assert_eq!(error.err().unwrap().kind(), Kind::Tls);
}

#[test]
fn sentinels_are_asked_again_after_a_failover() {
    let sentinels = get().sentinels();
    sentinels.primary().cli(&["LPUSH", "celery", "1"]);
    let broker = format!("{{url: {}, master_name: {}}}", quoted(&sentinels.url()), Sentinels::MASTER);
    let (link, redis) = open(&broker).unwrap();
    let before = sentinels.primary().port();
    assert_eq!((length(&redis), RUNTIME.block_on(redis.at()).to_string()), (Some(1), format!("127.0.0.1:{before}")));
    assert!(link.at().contains("master mymaster db 0"), "{}", link.at());
    sentinels.failover().unwrap();
    let after = sentinels.primary().port();
    assert_ne!(before, after);
    // A new connection finds the new master.
    let redis = eventually(Duration::from_secs(30), || RUNTIME.block_on(link.open()).map_err(|e| e.to_string()));
    assert_eq!(RUNTIME.block_on(redis.at()).to_string(), format!("127.0.0.1:{after}"));
    let error = open(&broker.replace("mymaster", "other")).err().unwrap();
    assert_eq!((error.kind(), error.what_happened().as_str()), (Kind::NotFound, "it watches none of the name other"));
    let error = open(&format!("{{url: {}}}", quoted(&sentinels.url()))).err().unwrap();
    assert_eq!(error.what_happened().as_str(), "sentinels watch several masters, and nothing names the broker's");
}

#[test]
fn without_a_broker_the_next_step_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    std::fs::write(&file, "environments: {a: {apps: {web: {files: [x.log]}}}}").unwrap();
    let env = load(&Inputs { config: Some(file), cwd: folder.path().to_owned(), ..Inputs::default() }).unwrap();
    let session = Session::new(env, None, Redactor::default(), Stop::default(), TimeZone::UTC);
    let error = RUNTIME.block_on(session.broker()).err().unwrap();
    assert_eq!(error.hints(), [Hint::Set("broker: {url: …}".into())]);
}
