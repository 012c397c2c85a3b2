//! Answers of real endpoints (`tests/fixtures/health`), and those of the dialects that no program here speaks.

use super::*;
use proptest::prelude::*;

/// A captured answer: head and body.
fn captured(name: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let path = format!("{}/tests/fixtures/health/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let (at, gap) = [&b"\r\n\r\n"[..], b"\n\n"]
        .into_iter()
        .filter_map(|gap| memchr::memmem::find(&bytes, gap).map(|at| (at, gap.len())))
        .min()
        .expect("a head and a body");
    let head = String::from_utf8(bytes[..at].to_vec()).expect("a head is text");
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).expect("a status");
    let headers = lines.filter_map(|l| l.split_once(": ")).map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect();
    (status, headers, bytes[at + gap..].to_vec())
}

fn fixture(name: &str) -> (u16, BodyRead) {
    let (status, headers, body) = captured(name);
    let of = |key: &str| headers.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str());
    let raw = RawAnswer {
        status,
        content_type: of("content-type"),
        encoding: of("content-encoding"),
        location: of("location"),
        path: "/ht/",
        body: &body,
        cut: false,
    };
    (status, read(&raw, None, &Redactor::default()))
}

fn health(read: &BodyRead) -> &HealthBody {
    match read {
        BodyRead::Health(body) => body,
        BodyRead::NotHealth(no) => panic!("no health body: {no:?}"),
    }
}

fn json(status: u16, body: &str) -> BodyRead {
    read(&RawAnswer { status, content_type: "application/json", body: body.as_bytes(), ..RawAnswer::default() }, None, &Redactor::default())
}

/// `dialect overall: name=condition …`, for short expectations.
fn brief(status: u16, read: &BodyRead) -> String {
    let body = health(read);
    let parts: Vec<String> = body.components.iter().map(|c| format!("{}={:?}", c.name, c.condition)).collect();
    format!("{} {:?}: {}", body.dialect.name(), overall(status, read), parts.join(" "))
}

#[test]
fn django_health_check_of_three_versions() {
    for (name, is) in [
        (
            "dhc-3.18-good",
            "django-health-check Ok: Cache backend: default=Ok Cache backend: sessions=Ok Database=Ok DiskUsage=Ok MemoryUsage=Ok Migrations=Ok",
        ),
        (
            "dhc-3.18-bad",
            "django-health-check Failed: Cache backend: default=Ok Cache backend: sessions=Failed Database=Failed DiskUsage=Ok MemoryUsage=Degraded Migrations=Failed",
        ),
        ("dhc-3.24-good", "django-health-check Ok: Cache default=Ok Cache sessions=Ok Database=Ok Disk=Ok Memory=Ok Migrations=Ok"),
        (
            "dhc-3.24-bad",
            "django-health-check Failed: Cache default=Ok Cache sessions=Failed Database=Failed Disk=Ok Memory=Ok Migrations=Failed",
        ),
        ("dhc-4.8-good", "django-health-check Ok: Cache default=Ok Cache sessions=Ok Database default=Ok Memory=Ok"),
        ("dhc-4.8-bad", "django-health-check Failed: Cache default=Ok Cache sessions=Failed Database default=Failed Memory=Degraded"),
    ] {
        let (status, read) = fixture(name);
        assert_eq!(brief(status, &read), is, "{name}");
    }
    let (_, read) = fixture("dhc-4.8-bad");
    let memory = health(&read).components.iter().find(|c| c.name.as_str() == "Memory").expect("it is there");
    assert!(memory.says.as_ref().is_some_and(|s| s.starts_with("Warning: RAM")), "{memory:?}");
}

#[test]
fn the_text_form_of_django_health_check() {
    let (status, read) = fixture("dhc-4.8-bad-text");
    assert!(brief(status, &read).starts_with("django-health-check Failed: Database(alias='default')=Failed"), "{}", brief(status, &read));
    let (status, read) = fixture("dhc-4.8-good-text");
    assert_eq!(overall(status, &read), Condition::Ok);
}

#[test]
fn dockerflow_with_and_without_its_checks() {
    let (status, read) = fixture("dockerflow-good");
    assert_eq!((overall(status, &read), health(&read).dialect), (Condition::Ok, Dialect::Dockerflow));
    let (status, read) = fixture("dockerflow-warning");
    assert_eq!(overall(status, &read), Condition::Degraded);
    let queue = health(&read).components.iter().find(|c| c.name.as_str() == "queue_check").expect("it is there");
    assert_eq!((queue.condition, queue.says.as_deref()), (Condition::Degraded, Some("shop.W001: the queue is long")));
    let (status, read) = fixture("dockerflow-bare");
    assert_eq!(brief(status, &read), "flat Degraded: ");
    let (status, read) = fixture("dockerflow-lbheartbeat");
    assert_eq!(brief(status, &read), "empty Ok: ");
}

#[test]
fn kubernetes_own() {
    let (status, read) = fixture("kubernetes-readyz");
    assert!(brief(status, &read).starts_with("kubernetes Ok: ping=Ok log=Ok etcd=Ok"), "{}", brief(status, &read));
    let (_, read) = fixture("kubernetes-excluded");
    assert!(health(&read).components.iter().any(|c| c.name.as_str() == "etcd" && c.condition == Condition::Skipped), "{read:?}");
    let (status, read) = fixture("kubernetes-livez");
    assert_eq!(brief(status, &read), "text Ok: ");
    let failed = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n";
    let read = read_text(500, failed);
    assert_eq!(brief(500, &read), "kubernetes Failed: ping=Ok etcd=Failed");
}

fn read_text(status: u16, body: &str) -> BodyRead {
    read(&RawAnswer { status, content_type: "text/plain", body: body.as_bytes(), ..RawAnswer::default() }, None, &Redactor::default())
}

#[test]
fn what_is_no_health_body_is_called_what_it_is() {
    let of = |name| match fixture(name).1 {
        BodyRead::NotHealth(no) => no,
        BodyRead::Health(body) => panic!("{name}: {body:?}"),
    };
    assert_eq!(of("nginx-502"), NotHealth::ProxyPage("502 Bad Gateway".into()));
    assert_eq!(of("nginx-503"), NotHealth::ProxyPage("503 Service Temporarily Unavailable".into()));
    assert_eq!(of("nginx-504"), NotHealth::ProxyPage("504 Gateway Time-out".into()));
    assert_eq!(of("login-redirect"), NotHealth::Login);
    assert_eq!(of("login-page"), NotHealth::Login);
    assert_eq!(of("django-disallowed-host"), NotHealth::HostRefused);
    assert_eq!(of("django-ssl-redirect"), NotHealth::SecureRedirect);
    assert_eq!(of("dhc-3.24-bad-html"), NotHealth::Page("System status".into()));
    // A page with 200 is not well, and not failed either.
    assert_eq!(overall(200, &fixture("login-page").1), Condition::Unknown);
    assert_eq!(overall(502, &fixture("nginx-502").1), Condition::Failed);
}

#[test]
fn the_other_dialects() {
    for (status, body, is) in [
        (200, r#"{"status":"healthy","db":"ok","redis":"ok","version":"0.57.0"}"#, "flat Ok: db=Ok redis=Ok"),
        (503, r#"{"status":"unhealthy","checks":{"database":"ok","cache":"error: refused"}}"#, "nested Failed: cache=Failed database=Ok"),
        (200, r#"{"status":"ready","checks":{}}"#, "nested Ok: "),
        (503, r#"{"status":"not ready","checks":{"db":false}}"#, "nested Failed: db=Failed"),
        (200, r#"{"db_read":{"healthy":true},"cache":{"healthy":false}}"#, "booleans Failed: cache=Failed db_read=Ok"),
        (200, r#"{"db":true,"redis":true}"#, "booleans Ok: db=Ok redis=Ok"),
        (200, r#"{"status":"ok","db":"blue moon"}"#, "flat Unknown: db=Unknown"),
        (
            200,
            r#"{"status":"warn","checks":{"db:responseTime":[{"status":"warn","observedValue":250,"observedUnit":"ms"}],"cpu":[{"status":"pass"},{"status":"fail"}]}}"#,
            "ietf Failed: cpu=Failed db:responseTime=Degraded",
        ),
        (
            503,
            r#"{"status":"DOWN","components":{"db":{"status":"UP","components":{"a":{"status":"UP"},"b":{"status":"UP"}}},"mail":{"status":"DOWN","details":{"error":"no route"}},"x":{"status":"UNKNOWN"}}}"#,
            "spring Failed: db/a=Ok db/b=Ok mail=Failed x=Unknown",
        ),
        (200, r#"{"status":"Degraded","entries":{"db":{"status":"Degraded","duration":"00:00:01"}}}"#, "asp-net Degraded: db=Degraded"),
        (200, r#"{"status":"ok","checks":[{"name":"db","status":"ok"},{"name":"mq","status":"skipped"}]}"#, "nested Ok: db=Ok mq=Skipped"),
        (200, r#""OK""#, "text Ok: "),
        (200, r#"{"status":"green-ish"}"#, "flat Unknown: "),
    ] {
        assert_eq!(brief(status, &json(status, body)), is, "{body}");
    }
    assert_eq!(brief(200, &read_text(200, "Healthy")), "text Ok: ");
    assert_eq!(brief(503, &read_text(503, "error: no database\n")), "text Failed: ");
    assert_eq!(brief(204, &read_text(204, "")), "empty Ok: ");
    for strange in [r#"{"detail":"A server error occurred."}"#, r#"{"id":7}"#, "[1,2]", "{", "A server error occurred.  Please contact us."]
    {
        assert!(matches!(json(200, strange), BodyRead::NotHealth(NotHealth::Gibberish)), "{strange}");
    }
}

#[test]
fn the_dialect_can_be_given() {
    let raw = RawAnswer { status: 200, body: b"{\"status\": \"ok\", \"db\": \"down\"}", ..RawAnswer::default() };
    assert_eq!(brief(200, &read(&raw, Some(Dialect::Empty), &Redactor::default())), "empty Ok: ");
    let raw = RawAnswer { status: 200, body: b"all systems nominal", ..RawAnswer::default() };
    assert_eq!(brief(200, &read(&raw, Some(Dialect::Text), &Redactor::default())), "text Unknown: ");
}

#[test]
fn contradictions_are_said() {
    let says = |status, body| health(&json(status, body)).contradictions.iter().map(|c| c.to_string()).collect::<Vec<_>>().join(" | ");
    assert!(says(200, r#"{"status":"unhealthy","db":"ok"}"#).contains("HTTP 200 says well, the body says it is not"));
    assert!(says(200, r#"{"status":"ok","redis":"error"}"#).contains("redis failed"));
    assert!(says(503, r#"{"status":"ok","db":"ok"}"#).contains("HTTP 503 says failed"));
    assert_eq!(says(503, r#"{"status":"unhealthy","db":"error"}"#), "");
}

#[test]
fn secrets_in_a_body_are_hidden() {
    let body = r#"{"status":"error","redis":"error: redis://:Tr0ub4dor-and-3@redis:6379 refused","version":"1"}"#;
    let shown = format!("{:?}", json(503, body));
    assert!(!shown.contains("Tr0ub4dor") && shown.contains("refused"), "{shown}");
}

#[test]
fn sizes_are_bounded() {
    let parts: Vec<String> = (0..1000).map(|i| format!("\"c{i}\": \"{}\"", "x".repeat(2000))).collect();
    let read = json(200, &format!("{{\"status\":\"ok\",{}}}", parts.join(",")));
    let body = health(&read);
    assert_eq!(body.components.len(), MOST + 1);
    assert!(body.components.iter().all(|c| c.says.as_ref().is_none_or(|s| s.chars().count() <= LONGEST)));
    let deep = format!("{}{}", "{\"checks\":".repeat(5000), "1");
    assert!(matches!(json(200, &deep), BodyRead::NotHealth(NotHealth::Gibberish)));
    let cut = RawAnswer { status: 200, body: b"{\"status\": \"o", cut: true, ..RawAnswer::default() };
    assert_eq!(super::read(&cut, None, &Redactor::default()), BodyRead::NotHealth(NotHealth::TooLong));
    let packed = RawAnswer { status: 200, encoding: "gzip", body: b"\x1f\x8b", ..RawAnswer::default() };
    assert_eq!(super::read(&packed, None, &Redactor::default()), BodyRead::NotHealth(NotHealth::Compressed));
}

proptest! {
    #[test]
    fn never_panics_on_bytes(status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..400), cut: bool, d in 0usize..12) {
        let raw = RawAnswer { status, body: &body, cut, ..RawAnswer::default() };
        let read = read(&raw, Dialect::ALL.get(d).copied(), &Redactor::default());
        let _ = overall(status, &read);
    }

    #[test]
    fn never_panics_on_what_looks_like_a_body(status in 200u16..600, body in r#"[{]("(status|checks|components|details|entries|db|é<)": ?("(ok|error: [a-zé]{0,9}|UP)"|true|null|7|[{]"status":"x"[}]|\[[{]"status":"fail"[}]\]),?){0,6}[}]"#, d in 0usize..12) {
        let raw = RawAnswer { status, body: body.as_bytes(), ..RawAnswer::default() };
        let read = read(&raw, Dialect::ALL.get(d).copied(), &Redactor::default());
        let _ = overall(status, &read);
    }

    #[test]
    fn a_page_is_never_health(inner in "[ -~é]{0,120}", status in 200u16..600) {
        let body = format!("<!doctype html>{inner}");
        let raw = RawAnswer { status, body: body.as_bytes(), ..RawAnswer::default() };
        prop_assert!(matches!(read(&raw, None, &Redactor::default()), BodyRead::NotHealth(_)));
    }
}
