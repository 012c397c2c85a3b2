//! The certificates of the sandbox's TLS front: bad ones, made anew for each sandbox by an authority of its own.

use std::fs;

use super::description::Values;
use crate::failure::{Doing, Result};
use crate::web::{Authority, Signed};

/// How many days ago the one has expired.
const EXPIRED: i64 = 3;

/// What `production.json` calls `{front.…}`.
pub fn values() -> Result<Values> {
    let authority = Authority::new("shop authority")?;
    let mut values = Values::new();
    let read = |path: &std::path::Path| fs::read_to_string(path).doing(|| format!("reading {}", path.display()));
    values.insert("front.ca".to_owned(), read(&authority.ca())?);
    let names = &["shop.example", "127.0.0.1"][..];
    let all =
        [("expired", authority.sign("expired", names, -90..-EXPIRED)?), ("other", authority.sign("other", &["intranet.example"], -1..90)?)];
    for (name, Signed { certificate, key }) in all {
        values.insert(format!("front.{name}.certificate"), read(&certificate)?);
        values.insert(format!("front.{name}.key"), read(&key)?);
    }
    Ok(values)
}
