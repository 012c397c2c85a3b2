//! Secrets of every kind in everything that a production can show: log lines, tracebacks, messages, results, statements, column values,
//! answers of endpoints, outputs of commands. None of them is in any byte that any command writes.

use crate::support::{Obsctl, Ran, obsctl};
use lab::{
    Major, Publish, Version, get,
    web::{Act, Scripted, answer},
};
use serde_json::json;
use std::{fmt::Write, path::Path};

/// A secret as production writes it.
#[derive(Clone, Copy)]
pub struct Kind {
    /// With what stands around it.
    pub written: &'static str,
    /// What must not be seen.
    pub secret: &'static str,
}

const fn kind(written: &'static str, secret: &'static str) -> Kind {
    Kind { written, secret }
}

/// By the key that they stand under, by their shape, or by both.
pub const KINDS: [Kind; 48] = [
    kind("password=Kq7-plain-01", "Kq7-plain-01"),
    kind(r#"{"password": "Kq7-json-02"}"#, "Kq7-json-02"),
    kind("{'password': 'Kq7-repr-03', 'n': 1}", "Kq7-repr-03"),
    kind("Password: Kq7-prose-04", "Kq7-prose-04"),
    kind("DB_PASSWORD=Kq7-env-05", "Kq7-env-05"),
    kind("EMAIL_HOST_PASSWORD = 'Kq7-settings-06'", "Kq7-settings-06"),
    kind("SECRET_KEY='Kq7-django-insecure-07'", "Kq7-django-insecure-07"),
    kind("new_password1=Kq7-form-08&next=/", "Kq7-form-08"),
    kind("api_key=Kq7key09abcdef", "Kq7key09abcdef"),
    kind("X-Api-Key: Kq7key10abcdef", "Kq7key10abcdef"),
    kind("GET /cb?access_token=Kq7tok11abcdef&x=1", "Kq7tok11abcdef"),
    kind(r#"{"refresh_token": "Kq7tok12abcdef"}"#, "Kq7tok12abcdef"),
    kind("Authorization: Bearer Kq7bearer13abcdefgh", "Kq7bearer13abcdefgh"),
    kind("Authorization: Basic S3E3OmJhc2ljLTE0LXB3", "S3E3OmJhc2ljLTE0LXB3"),
    kind("sent with Bearer Kq7bearer15.abcdefgh", "Kq7bearer15"),
    kind("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJLcTctMTYifQ.c2lnbmF0dXJlLTE2", "eyJzdWIiOiJLcTctMTYifQ"),
    kind("Cookie: theme=dark; sessionid=Kq7session17abc; x=1", "Kq7session17abc"),
    kind("Set-Cookie: sessionid=Kq7session18abc; HttpOnly", "Kq7session18abc"),
    kind("sessionid=Kq7session19abc", "Kq7session19abc"),
    kind("csrfmiddlewaretoken=Kq7csrf20abcdef", "Kq7csrf20abcdef"),
    kind("X-CSRFToken: Kq7csrf21abcdef", "Kq7csrf21abcdef"),
    kind("postgres://shop:Kq7-url-22@db:5432/shop", "Kq7-url-22"),
    kind("redis://:Kq7-url-23@redis:6379/0", "Kq7-url-23"),
    kind("amqp://shop:Kq7-url-24@rabbit//", "Kq7-url-24"),
    kind("https://bot:Kq7-url-25@git.example.org/x.git", "Kq7-url-25"),
    kind("https://Kq7dsn26abcdef@sentry.example.org/4", "Kq7dsn26abcdef"),
    kind("host=db user=shop password=Kq7-dsn-27 dbname=shop", "Kq7-dsn-27"),
    kind("AKIAKQ7IOSFODNN7EX28", "AKIAKQ7IOSFODNN7EX28"),
    kind("aws_secret_access_key=Kq7/aws/29+abcdefghij", "Kq7/aws/29+abcdefghij"),
    kind("https://s3.example.org/x?X-Amz-Signature=Kq7abc30def", "Kq7abc30def"),
    kind("ghp_Kq7abcdefghijklmnopqrstuv31", "ghp_Kq7abcdefghijklmnopqrstuv31"),
    kind("github_pat_Kq7abcdefghijklmnopqrst_32", "github_pat_Kq7abcdefghijklmnopqrst_32"),
    kind("glpat-Kq7abcdefghijklmn33", "glpat-Kq7abcdefghijklmn33"),
    kind("xoxb-123456789-Kq7abcdef34", "xoxb-123456789-Kq7abcdef34"),
    kind("sk_live_Kq7abcdefghij35", "sk_live_Kq7abcdefghij35"),
    kind("AIzaKq7abcdefghijklmnopqrstuvwxyzab36", "AIzaKq7abcdefghijklmnopqrstuvwxyzab36"),
    kind("pbkdf2_sha256$870000$Kq7salt37abc$aGFzaC0zNy1hYmNkZWY=", "aGFzaC0zNy1hYmNkZWY="),
    kind("$2b$12$Kq7abcdefghijklmnopqrstuvwxyz38ABCDEFGHIJKLMNOPQ", "Kq7abcdefghijklmnopqrstuvwxyz38"),
    kind("$argon2id$v=19$m=65536,t=3,p=4$S3E3LTM5$aGFzaC0zOS1hYmNk", "aGFzaC0zOS1hYmNk"),
    kind("-----BEGIN PRIVATE KEY-----\\nS3E3LTQwLWFiY2RlZg==\\n-----END PRIVATE KEY-----", "S3E3LTQwLWFiY2RlZg"),
    kind("card 4111 1111 1111 1111 charged", "1111 1111 1111"),
    kind("card_number=5500005555555559", "5500005555555559"),
    kind("to DE89 3704 0044 0532 0130 00", "0044 0532 0130"),
    kind("mail to kq7.forty-four@example.org", "kq7.forty-four"),
    kind("ssn 078-05-1120", "078-05-1120"),
    kind("client_secret=Kq7-oauth-46", "Kq7-oauth-46"),
    kind("otp=770146", "770146"),
    kind("ALTER ROLE shop PASSWORD 'Kq7-sql-48'", "Kq7-sql-48"),
];

/// No secret is in a text.
#[track_caller]
pub fn clean_text(name: &str, text: &str) {
    for kind in KINDS {
        if let Some(at) = text.find(kind.secret) {
            let (before, rest) = text.split_at(at);
            let line = format!("{}{}", before.lines().next_back().unwrap_or_default(), rest.lines().next().unwrap_or_default());
            panic!("{:?} of {:?} in {name}: {line}", kind.secret, kind.written);
        }
    }
}

#[track_caller]
pub fn clean(ran: &Ran) {
    clean_text("stdout", &ran.out);
    clean_text("stderr", &ran.err);
    assert!(ran.status != 101 && !ran.err.contains("panicked"), "{ran:?}");
}

/// Runs it in each form; what it wrote says that it came so far.
#[track_caller]
fn clean_in_all_forms(ask: impl Fn(&str) -> Obsctl, words: &str, shows: &str) {
    for more in ["", "-v", "-o json", "-o ndjson", "--color always"] {
        // Only records come one by one.
        if more == "-o ndjson" && (!words.starts_with("logs") || words.contains("--leaks") || words.contains("--stats")) {
            continue;
        }
        let ran = ask(&format!("{words} {more}")).run();
        let shows = if more == "-o json" { "\"kind\"" } else { shows };
        assert!(ran.out.contains(shows), "{words} {more} does not show {shows:?}: {ran:#?}");
        clean(&ran);
    }
}

#[test]
fn in_log_lines() {
    let (mut plain, mut json, mut logfmt, mut traces) = (String::new(), String::new(), String::new(), String::new());
    for (i, Kind { written, .. }) in KINDS.iter().enumerate() {
        let at = format!("2026-11-21T17:00:{i:02}.100Z");
        writeln!(plain, "ERROR 2026-11-21 17:00:{i:02},100 views 1 2 planted {written}").unwrap();
        let line = json!({"timestamp": at, "level": "error", "event": format!("planted {written}"), "extra": {"deep": [written]}, "request_id": "req-planted"});
        writeln!(json, "{line}").unwrap();
        // JSON in a string of JSON.
        writeln!(json, "{}", json!({"timestamp": at, "level": "error", "event": "planted", "body": line.to_string()})).unwrap();
        let quoted = written.replace('"', "\\\"");
        writeln!(logfmt, "ts={at} level=error msg=\"planted {quoted}\" request_id=req-planted").unwrap();
        writeln!(
            traces,
            "ERROR 2026-11-21 17:00:{i:02},100 log 1 2 Internal Server Error: /x/{i}/\nTraceback (most recent call last):\n  \
             File \"/app/shop/views{i}.py\", line 4, in pay\n    send({written})\nshop.errors.Planted{i}: planted {written}"
        )
        .unwrap();
    }
    let ask = |words: &str| {
        let ran = obsctl(Path::new("/nowhere"), words);
        ran.file("plain.log", &plain).file("json.log", &json).file("logfmt.log", &logfmt).file("traces.log", &traces)
    };
    for (words, shows) in [
        ("logs plain.log --tail -1", "planted"),
        ("logs json.log --tail -1", "planted"),
        ("logs logfmt.log --tail -1", "planted"),
        ("logs traces.log --tail -1", "planted"),
        ("logs *.log --tail -1 -i planted --around 1s", "planted"),
        ("logs json.log logfmt.log -r req-planted", "req-planted"),
        ("logs *.log --stats", "ERROR"),
        ("logs *.log --leaks", "hidden"),
        ("errors traces.log --tracebacks --limit 100", "Planted"),
    ] {
        clean_in_all_forms(ask, words, shows);
    }
    clean(&ask("logs *.log --tail -1 --raw").run());
    clean(&ask("logs *.log --tail -1 --timestamps -o ndjson").run());
}

#[test]
fn in_messages_and_results() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let mut ids = Vec::new();
    for Kind { written, .. } in KINDS {
        let publish = Publish::of("planted").args(json!([written, {"note": written}])).kwarg("deep", written).queue("mail");
        ids.extend(app.publish(&[publish.header("origin", written)]));
    }
    for (id, Kind { written, .. }) in ids.iter().zip(KINDS) {
        let traceback = format!(
            "Traceback (most recent call last):\n  File \"/app/t.py\", line 1, in run\n    send({written})\nValueError: {written}\n"
        );
        let result = json!({"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": [written], "exc_module": "builtins"},
            "traceback": traceback, "children": [], "date_done": "2026-11-21T17:00:00+00:00", "task_id": id});
        redis.cli(&["SET", &format!("celery-task-meta-{id}"), &result.to_string()]);
    }
    redis.cli(&["RPUSH", "mail", KINDS[0].written]);
    let ask = |words: &str| obsctl(Path::new("/nowhere"), words).var("CELERY_BROKER_URL", &redis.url());
    clean_in_all_forms(ask, "queue peek mail --limit 100", "planted");
    clean_in_all_forms(ask, "queue depth --once --show-commands", "mail");
    for id in &ids {
        let ran = ask(&format!("queue find {id} -v")).run();
        assert!(ran.out.contains("FAILURE") && ran.out.contains("ValueError"), "{ran:?}");
        clean(&ran);
    }
    clean_in_all_forms(ask, &format!("queue find {}", ids[1]), "ValueError");
}

#[test]
fn in_statements_and_columns() {
    let server = get().postgres(Major::V18);
    server.role("watcher", "W-1", "GRANT pg_monitor TO watcher");
    let columns: String = (0..KINDS.len()).map(|i| format!(", c{i} text")).collect();
    server.psql("postgres", &format!("CREATE EXTENSION pg_stat_statements; CREATE TABLE fifty AS SELECT generate_series(1, 50); CREATE TABLE t (id int{columns}); GRANT SELECT ON t TO watcher"));
    let quoted = |text: &str| text.replace('\'', "''");
    for (i, Kind { written, .. }) in KINDS.iter().enumerate() {
        // As a value that the statistics know, in a comment that is kept with the statement, in a statement whose literals are kept.
        server.psql("postgres", &format!("INSERT INTO t (id, c{i}) SELECT 1, '{}' FROM fifty", quoted(written)));
        let comment = written.replace("*/", "");
        server.psql("postgres", &format!("SELECT /* planted {comment} */ count(c{i}) FROM t WHERE c{i} = '{}'", quoted(written)));
        server.psql("postgres", &format!("COMMENT ON COLUMN t.c{i} IS 'planted {}'", quoted(written)));
    }
    server.psql("postgres", "ANALYZE t");
    let sessions: Vec<_> = KINDS
        .chunks(8)
        .enumerate()
        .map(|(i, kinds)| {
            let mut session = server.session("postgres", "postgres", &kinds[0].written.chars().take(60).collect::<String>());
            session.run("BEGIN");
            let words: Vec<String> = kinds.iter().map(|kind| format!("'planted {}'", quoted(kind.written))).collect();
            session.run(&format!("SELECT {i}, {}", words.join(", ")));
            session
        })
        .collect();
    let url = server.url_for("watcher", "W-1", "postgres");
    let config = format!("environments: {{a: {{apps: {{x: {{files: [x.log]}}}}, postgres: {{main: {{url: '{url}', via: direct}}}}}}}}");
    let ask = |words: &str| obsctl(Path::new("/nowhere"), words).arg_all("--config c.yaml").file("c.yaml", &config);
    clean_in_all_forms(ask, "db activity", "idle in transaction");
    clean_in_all_forms(ask, "db slow --limit 200", "count");
    clean_in_all_forms(ask, "db locks", "lock");
    for rank in [1, 2, 3] {
        clean(&ask(&format!("explain --slowest --rank {rank} --by total --show-commands")).run());
    }
    for (i, Kind { written, .. }) in KINDS.iter().enumerate() {
        let ran = ask("explain --analyze --show-commands -v").arg(&format!("SELECT id FROM t WHERE c{i} = '{}'", quoted(written))).run();
        assert!(ran.out.contains("Seq Scan"), "{ran:?}");
        clean(&ran);
        // What the server says of a wrong statement repeats it.
        clean(&ask("explain").arg(&format!("SELECT id FROM t WHERE nothing = '{}'", quoted(written))).run());
        clean(&ask("explain").arg(&format!("SELECT '{}'::int", quoted(written))).run());
    }
    drop(sessions);
}

#[test]
fn in_answers_and_reports() {
    let server = Scripted::start(|path| {
        let number: usize = path.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
        let written = KINDS[number].written;
        let body = match path {
            _ if path.starts_with("/plain") => format!("planted {written}"),
            _ if path.starts_with("/html") => format!("<!doctype html><title>planted {written}</title>{written}"),
            _ => json!({"status": "unhealthy", "db": format!("error: planted {written}"), "version": "1", "detail": {"why": written}})
                .to_string(),
        };
        let form = if path.starts_with("/html") { "text/html" } else { "application/json" };
        Act::Say(answer("503 Service Unavailable", form, &body))
    })
    .unwrap();
    let urls = |kind: &str| (0..KINDS.len()).map(|i| server.url(&format!("/{kind}/{i}"))).collect::<Vec<_>>().join(" ");
    let ask = |words: &str| obsctl(Path::new("/nowhere"), words);
    for kind in ["json", "plain", "html"] {
        clean_in_all_forms(ask, &format!("health {}", urls(kind)), "503");
    }

    let mut checks = "checks:\n".to_owned();
    for (i, Kind { written, .. }) in KINDS.iter().enumerate() {
        let quoted = written.replace('\'', "''");
        writeln!(checks, "  - {{name: http {i}, http: '{}', want: status == 200}}", server.url(&format!("/json/{i}"))).unwrap();
        writeln!(checks, "  - {{name: body {i}, http: '{}', want: 'body == \"well\"'}}", server.url(&format!("/plain/{i}"))).unwrap();
        writeln!(checks, "  - {{name: path {i}, http: '{}', want: '$.detail.why == well'}}", server.url(&format!("/json/{i}"))).unwrap();
        writeln!(checks, "  - {{name: health {i}, health: '{}'}}", server.url(&format!("/json/{i}"))).unwrap();
        writeln!(checks, "  - {{name: command {i}, command: [sh, -c, 'echo \"$0\"; echo \"$0\" >&2; exit 3', 'planted {quoted}']}}")
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let forms = ["human", "json", "ndjson", "junit", "github", "summary", "nagios", "prometheus"];
    let reports: String = forms.iter().map(|form| format!(" --report {form}={}", folder.path().join(form).display())).collect();
    for more in ["", "-v", "--explain", "-o json", "--dry-run", "--nagios"] {
        let ran = ask(&format!("check c.yaml {more} {}", if more.is_empty() { &reports } else { "" })).file("c.yaml", &checks).run();
        assert!(ran.status == if more == "--dry-run" { 0 } else { ran.status.clamp(1, 2) }, "{ran:#?}");
        clean(&ran);
    }
    for form in forms {
        let text = std::fs::read_to_string(folder.path().join(form)).unwrap();
        assert!(text.len() > 100, "{form}: {text}");
        clean_text(form, &text);
    }
}
