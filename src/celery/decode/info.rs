//! Redis' `INFO` → what it says of the server. Lines that are missing or new are no error: versions differ in both.

use crate::{
    celery::model::{ServerFacts, ServerRole},
    text::Safe,
};
use std::collections::{BTreeMap, HashMap};

/// One or several sections of `INFO`.
pub fn info<'a>(sections: impl IntoIterator<Item = &'a [u8]>) -> ServerFacts {
    let mut lines: HashMap<&str, &str> = HashMap::new();
    for section in sections {
        let Ok(text) = std::str::from_utf8(section) else { continue };
        lines.extend(text.lines().filter_map(|line| line.trim_end().split_once(':')));
    }
    let text = |key: &str| lines.get(key).copied().filter(|value| !value.is_empty());
    let number = |key: &str| text(key)?.parse::<u64>().ok();
    let ok = |key: &str| text(key).map(|status| status == "ok");
    // Valkey keeps the old name and says its own beside it.
    let valkey = text("valkey_version");
    let databases = lines.iter().filter_map(|(key, value)| {
        let keys = value.split(',').find_map(|part| part.strip_prefix("keys="))?;
        Some((key.strip_prefix("db")?.parse().ok()?, keys.parse().ok()?))
    });
    ServerFacts {
        product: text("redis_version").map(|_| if valkey.is_some() { "Valkey".into() } else { "Redis".into() }),
        version: valkey.or_else(|| text("redis_version")).map(Safe::name),
        role: match text("role") {
            Some("master") => Some(ServerRole::Primary),
            Some("slave" | "replica") => Some(ServerRole::Replica),
            _ => None,
        },
        link_up: text("master_link_status").map(|status| status == "up"),
        memory: number("used_memory"),
        memory_limit: number("maxmemory").filter(|limit| *limit > 0),
        eviction: text("maxmemory_policy").map(Safe::name),
        evicted: number("evicted_keys"),
        snapshot_ok: ok("rdb_last_bgsave_status"),
        log_ok: number("aof_enabled").filter(|on| *on == 1).and_then(|_| ok("aof_last_write_status")),
        databases: databases.collect::<BTreeMap<_, _>>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_redis_says() {
        let memory = b"# Memory\r\nused_memory:2040109465\r\nmaxmemory:2147483648\r\nmaxmemory_policy:allkeys-lru\r\n";
        let rest = b"# Server\r\nredis_version:7.0.15\r\n# Replication\r\nrole:slave\r\nmaster_link_status:down\r\naof_enabled:0\r\naof_last_write_status:ok\r\nrdb_last_bgsave_status:err\r\n# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\ndb11:keys=812,expires=0,avg_ttl=0\r\n";
        let facts = info([&memory[..], rest]);
        assert_eq!((facts.version.as_deref(), facts.role, facts.link_up), (Some("7.0.15"), Some(ServerRole::Replica), Some(false)));
        assert_eq!((facts.snapshot_ok, facts.log_ok), (Some(false), None));
        assert_eq!(facts.databases, BTreeMap::from([(0, 3), (11, 812)]));
        assert!(facts.full().is_some_and(|full| full > 0.94 && full < 0.96));
        let valkey = info([&b"redis_version:7.2.4\r\nvalkey_version:8.1.0\r\nmaxmemory:0\r\nrole:master\r\n"[..]]);
        assert_eq!((valkey.product.as_deref(), valkey.version.as_deref()), (Some("Valkey"), Some("8.1.0")));
        assert_eq!((valkey.memory_limit, valkey.full()), (None, None));
    }

    #[test]
    fn says_nothing_of_what_was_not_said() {
        assert_eq!(info([]), ServerFacts::default());
    }

    proptest! {
        #[test]
        fn never_panics(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = info([&raw[..]]);
        }
    }
}
