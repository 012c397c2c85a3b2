//! Whatever stands in DATABASE_URL; what it holds as a password is never shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::config::PostgresUrl;

fuzz_target!(|text: &str| {
    const SECRET: &str = "S3CR3TS3CR3T";
    if let Ok(url) = PostgresUrl::parse(text) {
        let _ = url.says();
    }
    for text in [format!("postgres://u:{SECRET}@{text}"), format!("host=h password={SECRET} {text}")] {
        match PostgresUrl::parse(&text) {
            Ok(url) => assert!(!format!("{url:?}").contains(SECRET) || !url.says().contains(SECRET)),
            Err(error) => assert!(!error.to_string().contains(SECRET)),
        }
    }
});
