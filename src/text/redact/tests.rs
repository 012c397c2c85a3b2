//! Tables and properties of the rules. A table row says what must not appear and what must stay.
#![expect(clippy::disallowed_methods, reason = "how long the rules take is what is tested")]

use super::*;
use proptest::prelude::*;

fn redactor() -> Redactor {
    Redactor::new(MaskKey::from_bytes([7; 32]))
}

/// The text with the digits of its masks taken out: `<email:…>`.
fn shown(raw: &str) -> String {
    let text = redactor().safe(raw.as_bytes()).to_string();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(length) = mask::leading(from.as_bytes()) {
            let (mask, after) = from.split_at(length);
            out.push_str(mask.split_at(length - 5).0);
            out.push_str("…>");
            rest = after;
        } else {
            out.push('<');
            rest = from.split_at(1).1;
        }
    }
    out + rest
}

fn table(rows: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (raw, expected) in rows {
        let got = shown(raw);
        if got != *expected {
            wrong += &format!("\n     raw {raw}\nexpected {expected}\n     got {got}\n");
        }
        let once = redactor().safe(raw.as_bytes());
        let twice = redactor().safe(once.as_bytes());
        if once != twice {
            wrong += &format!("\n   raw {raw}\n  once {once}\n twice {twice}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn unchanged(rows: &[&str]) {
    table(&rows.iter().map(|row| (*row, *row)).collect::<Vec<_>>());
}

#[test]
fn json_lines() {
    table(&[
        (r#"{"event": "login", "password":  "hunter2", "n": 1}"#, r#"{"event": "login", "password":  "<secret:…>", "n": 1}"#),
        (r#"{"a":{"b":[{"apiKey":"x1"}]}}"#, r#"{"a":{"b":[{"apiKey":"<secret:…>"}]}}"#),
        (r#"{"\u0070assword":"a\u0062c","x":1}"#, r#"{"\u0070assword":"<secret:…>","x":1}"#),
        (
            r#"{"pin":1234,"otp":"000111","token":null,"secret":true}"#,
            r#"{"pin":"<secret:…>","otp":"<secret:…>","token":null,"secret":true}"#,
        ),
        (
            r#"{"session":{"id":"abc","n":5,"new":true},"user_id":7}"#,
            r#"{"session":{"id":"<session:…>","n":"<session:…>","new":true},"user_id":7}"#,
        ),
        (
            r#"{"body":"{\"user\":{\"password\":\"hun\\\"ter2\",\"pin\":12}}"}"#,
            r#"{"body":"{\"user\":{\"password\":\"<secret:…>\",\"pin\":\"<secret:…>\"}}"}"#,
        ),
        (r#"{"event":"mail to bob@example.com sent","to":"a\u0040b.org"}"#, r#"{"event":"mail to <email:…> sent","to":"<email:…>"}"#),
        (r#"{"password":"a","password":"b"}"#, r#"{"password":"<secret:…>","password":"<secret:…>"}"#),
        (r#"{"event":"x","password":"hunt"#, r#"{"event":"x","password":"<secret:…>"#),
        (
            r#"ssword":"hunter2","token":"abc1","n":{"secret":"q"}}"#,
            r#"ssword":"hunter2","token":"<secret:…>","n":{"secret":"<secret:…>"}}"#,
        ),
        (r#"{"session": {"u": <User: bob>, "key": "abc"}}"#, r#"{"session": {"u": <secret:…>"#),
        (r#"{"name":"DB_PASSWORD","value":"hunter2"}"#, r#"{"name":"DB_PASSWORD","value":"<secret:…>"}"#),
        (
            r#"{"headers":[["Authorization","Bearer abc1"],["Host","x"]]}"#,
            r#"{"headers":[["Authorization","Bearer <bearer:…>"],["Host","x"]]}"#,
        ),
        (r#"2026-11-21 INFO got {"token": "t1", "n": 2} from x"#, r#"2026-11-21 INFO got {"token": "<secret:…>", "n": 2} from x"#),
        (
            r#"{"request_id":"r1","ip_address":"203.0.113.9","x_forwarded_for":"203.0.113.9, 10.0.0.1"}"#,
            r#"{"request_id":"r1","ip_address":"<ip:…>","x_forwarded_for":"<ip:…>, <ip:…>"}"#,
        ),
        (
            r#"{"exc_info":"-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nend"}"#,
            r#"{"exc_info":"-----BEGIN RSA PRIVATE KEY-----<pem:…>-----END RSA PRIVATE KEY-----\nend"}"#,
        ),
        (
            r#"{"card_number":4242424242424242,"amount":4242424242424242,"pan":"123456789012"}"#,
            r#"{"card_number":"<card:…>","amount":"<card:…>","pan":"<card:…>"}"#,
        ),
        (r#"{"token":"","password":"[Filtered]","secret":"********"}"#, r#"{"token":"","password":"[Filtered]","secret":"********"}"#),
    ]);
}

#[test]
fn pairs_and_headers() {
    table(&[
        ("level=info password=hunter2 user=bob", "level=info password=<secret:…> user=bob"),
        ("password='hun ter2' x", "password='<secret:…>' x"),
        ("Authorization: Bearer abc user=1", "Authorization: Bearer <bearer:…> user=1"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic <secret:…>"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=A/1, SignedHeaders=h, Signature=s x", "Authorization: AWS4-HMAC-SHA256 <secret:…> x"),
        ("Authorization: ab12 status=200", "Authorization: <secret:…> status=200"),
        ("Authorization: Custom ab12 status=200", "Authorization: <secret:…> status=200"),
        ("X-Api-Key: k1-x ok", "X-Api-Key: <secret:…> ok"),
        ("Cookie: a=b; sessionid=xyz; c=d", "Cookie: <secret:…>"),
        ("Set-Cookie: sessionid=xyz; Path=/; HttpOnly", "Set-Cookie: <secret:…>"),
        ("got sessionid=abc9; then", "got sessionid=<session:…>; then"),
        ("{'user': 'bob', 'password': 'it\\'s', 'n': 1}", "{'user': 'bob', 'password': '<secret:…>', 'n': 1}"),
        ("{b'password': b'x1', u'token': u'y1'}", "{b'password': b'<secret:…>', u'token': u'<secret:…>'}"),
        ("<QueryDict: {'password': ['hunter2'], 'q': ['1']}>", "<QueryDict: {'password': <secret:…>, 'q': ['1']}>"),
        ("[(b'authorization', b'Bearer ab1'), (b'host', b'x')]", "[(b'authorization', b'Bearer <bearer:…>'), (b'host', b'x')]"),
        ("\"GET /x?token=abc&page=2 HTTP/1.1\" 200", "\"GET /x?token=<secret:…>&page=2 HTTP/1.1\" 200"),
        ("next=%2Fr%3Ftoken%3Dabc%26a%3D1", "next=%2Fr%3Ftoken%3D<secret:…>%26a%3D1"),
        ("a=1&password=x&b=2", "a=1&password=<secret:…>&b=2"),
        ("host=db user=app password=x1 dbname=shop", "host=db user=app password=<secret:…> dbname=shop"),
        ("connect(user='a', password=abc, port=1)", "connect(user='a', password=<secret:…>, port=1)"),
        ("    password: str = 'hunter2'", "    password: <secret:…> = '<secret:…>'"),
        ("os.environ['DB_PASSWORD'] = 'x1'", "os.environ['DB_PASSWORD'] = '<secret:…>'"),
        ("mysqldump --password=x1 --password y1 -h db", "mysqldump --password=<secret:…> --password <secret:…> -h db"),
        ("['psql', '--password', 'x1', '-h']", "['psql', '--password', '<secret:…>', '-h']"),
        (r"b'GET / HTTP/1.1\r\nAuthorization: Bearer abc\r\n'", r"b'GET / HTTP/1.1\r\nAuthorization: Bearer <bearer:…>'"),
        ("\x1b[36mpassword\x1b[0m=\x1b[35mhunter2\x1b[0m", "\\x1b[36mpassword\\x1b[0m=\\x1b[35m<secret:…>\\x1b[0m"),
        (r#"... \"token\": \"ab\\\"c\", \"n\": 1}"#, r#"... \"token\": \"<secret:…>\", \"n\": 1}"#),
        ("Key (token)=(abc1) already exists", "Key (token)=<secret:…> already exists"),
        ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER ROLE app PASSWORD '<secret:…>'"),
        (r"['ALTER ROLE app PASSWORD \'hunter2\'', 1]", r"['ALTER ROLE app PASSWORD \'<secret:…>\'', 1]"),
        ("x = 'ALTER ROLE app PASSWORD ''hunter2'''::text", "x = 'ALTER ROLE app PASSWORD ''<secret:…>'''::text"),
        (r"CREATE ROLE a PASSWORD E'hun\'ter2' LOGIN", "CREATE ROLE a PASSWORD E'<secret:…>' LOGIN"),
        ("Filter: (x = '{''password'': ''a''''b'', ''n'': 1}'::text)", "Filter: (x = '{''password'': ''<secret:…>'', ''n'': 1}'::text)"),
        (r#"ERROR,"{""token"": ""abc1"", ""n"": ""b""}",1"#, r#"ERROR,"{""token"": ""<secret:…>"", ""n"": ""b""}",1"#),
        ("{'password': '', 'n': 1}", "{'password': '', 'n': 1}"),
        ("remote_addr=10.1.2.3:5122 path=/", "remote_addr=<ip:…>:5122 path=/"),
        ("HTTP_X_FORWARDED_FOR: 203.0.113.9, 2001:db8::1", "HTTP_X_FORWARDED_FOR: <ip:…>, <ip:…>"),
        ("secret=({'a': 'b'}, 1) done", "secret=<secret:…> done"),
        (r"\x1b[36mpassword\x1b[0m=\x1b[35mhunter2\x1b[0m", r"\x1b[36mpassword\x1b[0m=\x1b[35m<secret:…>\x1b[0m"),
        ("password=\"abc", "password=\"<secret:…>"),
    ]);
}

#[test]
fn urls() {
    table(&[
        ("postgres://app:s3cret@db.example.com:5432/shop", "postgres://app:<url-password:…>@db.example.com:5432/shop"),
        ("redis://:pw@host:6379/0", "redis://:<url-password:…>@host:6379/0"),
        ("amqp://guest:gu%40est@rabbit//", "amqp://guest:<url-password:…>@rabbit//"),
        ("postgres://u:p@ss/w@rd@db/x", "postgres://u:<url-password:…>@db/x"),
        ("postgres://u:p/w#d@db/x", "postgres://u:<url-password:…>@db/x"),
        ("https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/42", "https://<url-password:…>@o1.ingest.sentry.io/42"),
        ("redis://:a@h1:1,redis://:b@h2:2", "redis://:<url-password:…>@h1:1,redis://:<url-password:…>@h2:2"),
        ("could not connect to app:pw1@db:5432/shop", "could not connect to app:<url-password:…>@db:5432/shop"),
        ("root:pw@tcp(db:3306)/shop", "root:<url-password:…>@tcp(db:3306)/shop"),
        ("DATABASE_URL='postgres://a:b@h/x'", "DATABASE_URL='postgres://a:<url-password:…>@h/x'"),
    ]);
    unchanged(&[
        "postgres://app@db.example.com/shop",
        "ssh://git@github.com/x",
        "http://localhost:8000/x?a=b",
        "http://[::1]:8000/api/",
        "amqp://rabbit:5672//",
    ]);
}

#[test]
fn values() {
    table(&[
        ("user bob.smith+x@mail.example.co.uk logged in", "user <email:…> logged in"),
        ("q=bob%40example.com", "q=<email:…>"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig-x_1 end", "jwt <jwt:…> end"),
        ("sent Bearer abc123XYZ now", "sent Bearer <bearer:…> now"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key <aws-key:…> used"),
        ("card 4111 1111 1111 1111 declined", "card <card:…> declined"),
        ("id 1234 4111-1111-1111-1111.", "id 1234 <card:…>."),
        ("paid 378282246310005", "paid <card:…>"),
        ("to DE89370400440532013000 now", "to <iban:…> now"),
        ("to GB82 WEST 1234 5698 7654 32 NOW", "to <iban:…> NOW"),
        ("ssn 078-05-1120.", "ssn <ssn:…>."),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "<secret:…>"),
        ("pbkdf2_sha256$600000$salt$aGFzaGhhc2g=", "<secret:…>"),
        ("MIIEpAIBAAKCAQEA1234567890abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL", "<pem:…>"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIab\\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----<pem:…>-----END PRIVATE KEY-----"),
        ("-----BEGIN PRIVATE KEY-----\nMIIab", "-----BEGIN PRIVATE KEY-----<pem:…>"),
    ]);
}

#[test]
fn what_is_no_secret_stays() {
    unchanged(&[
        r#"{"event": "llm", "tokens": 812, "prompt_tokens": 800, "token_count": 12, "max_token": 5}"#,
        "tokens=812 prompt_tokens=700 token_count=3",
        "1763692741401233001 1763692741401 1763692741401233",
        "backend-6f7d9c8b5d-x2k4p 4f1f9c0e-1111-4111-8111-123456789012 da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "connection from 10.0.0.3 refused",
        "celery@worker-1.shop.svc.cluster.local ready",
        "celery@ip-10-0-0-1.ec2.internal ready",
        "token: expired",
        "auth: failed",
        "Invalid session: closed",
        "Bearer authentication failed, Basic authentication too",
        "10.1.2.3 - - [21/Nov/2026:02:44:10 +0000] \"GET /api/orders/?page=2 HTTP/1.1\" 200 4512 \"-\" \"curl/8.5\"",
        "Task shop.tasks.send[4f1f9c0e-1111-4111-8111-123456789012] succeeded in 0.31s: None",
        "password=None secret=null token=false",
        "order_id=123456789012345678 took 0.4111111111111111",
        "ratio 1234567890123.45",
        r#"{"a": "it's", "b": [1, 2.5e3, {}], "c": "\u00e9"}"#,
        "File \"/app/auth/views.py\", line 12, in login",
        "@app.task(bind=True) foo@1.2.3",
        "GET /auth/login",
    ]);
}

#[test]
fn free_standing_figures_of_many_sizes_stay() {
    // Nanosecond, microsecond and millisecond timestamps: one in ten passes Luhn.
    for i in 0..3000_u64 {
        for n in [1_763_692_741_401_233_001 + i * 7919, 1_763_692_741_401_233 + i * 31, 1_763_692_741_401 + i, 20_261_121_024_410 + i] {
            let raw = n.to_string();
            assert_eq!(redactor().safe(raw.as_bytes()).as_str(), raw);
        }
    }
}

#[test]
fn tracebacks() {
    let text = "Traceback (most recent call last):\n  File \"/app/db.py\", line 3, in connect\n    conn = psycopg.connect(\"host=db password=x9 user=a\")\npsycopg.OperationalError: connection to postgres://app:s3@db/shop failed";
    let got = redactor().safe(text.as_bytes());
    assert!(!got.contains("x9") && !got.contains("s3@") && got.contains("user=a") && got.contains("@db/shop failed"), "{got}");
}

#[test]
fn equal_values_have_equal_masks() {
    let r = redactor();
    let mask = |raw: &str| r.safe(raw.as_bytes()).as_str().split_at(raw.find('=').map_or(0, |i| i + 1)).1.to_owned();
    assert_eq!(mask("password=abc"), mask("password=abc"));
    assert_ne!(mask("password=abc"), mask("password=abd"));
    assert_eq!(r.field("password", "abc").as_str(), mask("password=abc"));
    assert_ne!(Redactor::new(MaskKey::from_bytes([8; 32])).field("password", "abc"), r.field("password", "abc"));
    assert_eq!(Redactor::default().field("password", "abc"), Redactor::default().field("password", "abc"));
    let json = r.safe(br#"{"password":"\u0061bc"}"#);
    assert!(json.contains(&mask("password=abc")), "{json}");
}

#[test]
fn a_field_is_known_by_its_key() {
    let r = redactor();
    assert!(r.field("X-Api-Key", "k").starts_with("<secret:"));
    assert!(r.field("Authorization", "Bearer k").starts_with("Bearer <bearer:"));
    assert!(r.field("remote_addr", "10.0.0.1").starts_with("<ip:"));
    assert_eq!(r.field("token_count", "12").as_str(), "12");
    assert!(r.field("message", "bob@example.com").starts_with("<email:"));
    assert_eq!(r.clone().showing_sensitive().field("password", "x\x1b").as_str(), "x\\x1b");
}

#[test]
fn the_searched_id_is_kept() {
    let r = redactor().keeping(b"abc123").keeping(b"bob@example.com");
    let kept = |raw: &str| r.safe(raw.as_bytes()).to_string();
    assert_eq!(kept("session_id=abc123-9f4e user=bob@example.com"), "session_id=abc123-9f4e user=bob@example.com");
    assert_eq!(kept(r#"{"token":"abc123"}"#), r#"{"token":"abc123"}"#);
    assert!(!kept("password='abc123 and more'").contains("more"));
    assert!(!kept("sessionid=xabc123").contains("abc123"));
}

#[test]
fn what_was_found_is_counted() {
    let mut tally = Tally::default();
    let mut out = SafeBuf::new();
    let r = redactor().showing_sensitive();
    r.line_counting(br#"{"password":"x","m":"a@b.org c@d.org"}"#, &mut out, &mut tally);
    assert_eq!(out.as_str(), r#"{"password":"x","m":"a@b.org c@d.org"}"#);
    assert_eq!(tally.found().collect::<Vec<_>>(), [(SecretKind::Email, 2), (SecretKind::Secret, 1)]);
    assert_eq!(tally.total(), 3);
}

#[test]
fn long_lines_take_linear_time() {
    // A quadratic rule takes hours here; the limit only has to hold on a busy machine, unoptimised.
    let mib = 1 << 20;
    for unit in [
        "{\"",
        "{\"a\":",
        "password:",
        "@a",
        "a@b.",
        "\"'",
        "(",
        "://",
        "a:b@c:1",
        "\\\\\\\"token\\\\\\\": ",
        "4111 ",
        "DE89",
        "eyJ.",
        "%3D",
        "[",
        "secret=[",
        "-----BEGIN ",
        "\x1b\x1b[",
        "--token ",
        "token, ",
    ] {
        let raw = unit.repeat(mib / unit.len());
        let start = std::time::Instant::now();
        let _ = redactor().safe(raw.as_bytes());
        assert!(start.elapsed().as_secs() < 60, "{unit} took {:?}", start.elapsed());
    }
}

#[test]
fn the_first_look_sees_every_key() {
    for (name, _) in keys::all() {
        for name in [name.to_owned(), name.replace('_', "-"), name.replace('_', ""), name.to_uppercase(), name.replace('_', " ")] {
            for line in [format!("{name}=x"), format!("\"{name}\": 1"), format!("{name}%3Dx")] {
                assert!(scan::is_suspicious(line.as_bytes()), "{line}");
            }
        }
    }
}

fn is_terminal_safe(text: &str) -> bool {
    Safe::name(text).as_str() == text
}

fn key() -> impl Strategy<Value = String> {
    let names: Vec<_> =
        keys::all().filter(|(_, class)| !matches!(class, keys::Class::Address | keys::Class::Card)).map(|(name, _)| name).collect();
    (proptest::sample::select(names), 0..5).prop_map(|(name, style)| match style {
        0 => name.to_owned(),
        1 => name.replace('_', "-"),
        2 => name.to_uppercase(),
        3 => name.replace('_', ""),
        _ => name.split('_').map(|word| word.split_at(1)).map(|(first, rest)| first.to_uppercase() + rest).collect(),
    })
}

/// A JSON string with some of its characters escaped.
fn quoted(text: &str, escapes: u64) -> String {
    let mut out = String::from("\"");
    for (i, c) in text.chars().enumerate() {
        match c {
            _ if escapes >> (i % 64) & 1 == 1 => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}")),
            '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out + "\""
}

/// A value that can be told from all else in the line.
const SECRET: &str = "Zq9[!-~]{0,20}Zq9";

proptest! {
    #[test]
    fn any_bytes_give_terminal_safe_text(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(is_terminal_safe(&redactor().safe(&raw)));
    }

    #[test]
    fn any_mix_of_what_matters_gives_terminal_safe_text(parts in proptest::collection::vec(proptest::sample::select(vec![
        "password", "token", "=", ":", "\"", "'", "{", "}", "[", "]", "(", ")", ",", " ", "\\", "\\u00", "41", "://", "@", "a", "<secret:00ff>", "\n", "\x1b[", "m",
        "%40", "%3D", "--", "Bearer ", "eyJabcdefg.", "-----BEGIN ", "-----", "4111 1111 1111 1111", "é", "\u{202e}", "b'", "ip_address", "10.0.0.1", "cookie", ";",
    ]), 0..40)) {
        let raw = parts.concat();
        prop_assert!(is_terminal_safe(&redactor().safe(raw.as_bytes())));
        prop_assert_eq!(redactor().showing_sensitive().safe(raw.as_bytes()), Safe::name(&raw));
    }

    #[test]
    fn a_secret_in_json_never_appears(
        key in key(), secret in SECRET, escapes in any::<u64>(), more in any::<u64>(), depth in 0..60_usize, strings in 0..4_usize, cut in 0..3_usize,
    ) {
        let mut json = format!("{{\"n\": 1, {} : {}}}", quoted(&key, escapes), quoted(&secret, more));
        for level in 0..depth {
            json = if level % 2 == 0 { format!("[1, {json}, null]") } else { format!("{{\"k{level}\":{json},\"z\":\"ok\"}}") };
        }
        for _ in 0..strings {
            json = format!("{{\"body\":{}}}", quoted(&json, more.rotate_left(7) & escapes));
        }
        let raw = json.split_at(json.len() - cut.min(json.len())).0;
        let got = redactor().safe(raw.as_bytes());
        prop_assert!(!got.contains("Zq9"), "{raw}\n{got}");
        prop_assert_eq!(&redactor().safe(got.as_bytes()), &got);
        if cut == 0 {
            prop_assert!(!got.contains(&secret));
        }
    }

    #[test]
    fn a_secret_in_text_never_appears(key in key(), secret in "Zq9[!#-&*-~]{0,12}Zq9", form in 0..9_usize) {
        let raw = match form {
            0 => format!("a=1 {key}={secret} b=2"),
            1 => format!("INFO {key}: {secret}"),
            2 => format!("{{'a': 1, '{key}': '{}'}}", secret.replace('\\', "\\\\")),
            3 => format!("f(x, {key}=\"{}\")", secret.replace('\\', "\\\\")),
            4 => format!("(b'{key}', b'{}')", secret.replace('\\', "\\\\")),
            5 => format!("run --{key} {secret} x"),
            6 => format!("\x1b[36m{key}\x1b[0m=\x1b[35m{secret}\x1b[0m"),
            7 => format!("'{key}' => '{}'", secret.replace('\\', "\\\\")),
            _ => format!("redis://:{}@host/0", secret.replace(['/', '?', '#', '@', '`'], "")),
        };
        // Words with spaces are no bare key.
        prop_assume!(!secret.starts_with('-'));
        let got = redactor().safe(raw.as_bytes());
        prop_assert!(!got.contains("Zq9"), "{raw}\n{got}");
    }

    #[test]
    fn text_without_secrets_is_unchanged(words in proptest::collection::vec("[a-z]{1,9}|[0-9]{1,10}|[A-Z][a-z]{2,6}=[a-z0-9]{1,6}|\\{\"n\": [0-9]{1,5}\\}", 0..12)) {
        let raw = words.join(" ");
        let got = redactor().safe(raw.as_bytes());
        prop_assert_eq!(got.as_str(), raw.as_str());
    }

    #[test]
    fn what_is_searched_for_is_kept(key in key(), id in "[a-f0-9]{8}-[a-f0-9]{4}") {
        let raw = format!("{{\"{key}\":\"{id}\",\"password\":\"hunter2\"}}");
        let got = redactor().keeping(id.as_bytes()).safe(raw.as_bytes());
        prop_assert!(got.contains(&id) && !got.contains("hunter2"));
    }
}
