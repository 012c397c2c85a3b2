//! Which functions may run unasked. Every name on these lists was looked at; a function that is on none of them has to be allowed by name.

/// Functions of the server that are declared as reading only and do more all the same, by OID: a name can be changed.
pub const NOT_INERT: &[(u32, &str)] = &[
    (2923, "table_to_xml"),
    (2926, "table_to_xmlschema"),
    (2929, "table_to_xml_and_xmlschema"),
    (2933, "schema_to_xml"),
    (2934, "schema_to_xmlschema"),
    (2935, "schema_to_xml_and_xmlschema"),
    (2936, "database_to_xml"),
    (2937, "database_to_xmlschema"),
    (2938, "database_to_xml_and_xmlschema"),
    (2943, "txid_current"),
    (5059, "pg_current_xact_id"),
    (6210, "pg_input_is_valid"),
    (6211, "pg_input_error_info"),
];

/// Why one of [`NOT_INERT`] is none.
pub fn why_not_inert(oid: u32) -> &'static str {
    match oid {
        2943 | 5059 => "it takes a transaction ID",
        6210 | 6211 => "it runs the checks of a type that it is given by name",
        _ => "it runs a query over tables and views that it is given by name",
    }
}

/// VOLATILE functions of the server that change nothing.
pub const HARMLESS_VOLATILE: &[&str] = &[
    "array_sample",
    "array_shuffle",
    "bernoulli",
    "clock_timestamp",
    "current_query",
    "gen_random_uuid",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_size",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_jit_available",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_relation_size",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "random",
    "random_normal",
    "system",
    "timeofday",
    "uuidv4",
    "uuidv7",
];

/// Trigger functions of the server: what they do is part of the write that they belong to.
pub const TRIGGERS: &[&str] =
    &["suppress_redundant_updates_trigger", "tsvector_update_trigger", "tsvector_update_trigger_column", "unique_key_recheck"];

/// The beginning of the names of foreign keys' trigger functions.
pub const FOREIGN_KEY_TRIGGERS: &str = "RI_FKey_";

/// Extensions whose functions in C that are declared as not VOLATILE do what they say. Not among them: those that run text as SQL (dblink,
/// tablefunc, plperl, …) or reach other servers and files (postgres_fdw, file_fdw, …).
pub const TRUSTED_EXTENSIONS: &[&str] = &[
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "isn",
    "ltree",
    "pg_stat_statements",
    "pg_trgm",
    "pgcrypto",
    "postgis",
    "seg",
    "unaccent",
    "uuid-ossp",
    "vector",
];

/// VOLATILE functions of trusted extensions that change nothing.
pub const HARMLESS_OF_EXTENSIONS: &[(&str, &str)] = &[
    ("pg_stat_statements", "pg_stat_statements"),
    ("pg_stat_statements", "pg_stat_statements_info"),
    ("pgcrypto", "gen_random_bytes"),
    ("pgcrypto", "gen_random_uuid"),
    ("pgcrypto", "gen_salt"),
    ("uuid-ossp", "uuid_generate_v1"),
    ("uuid-ossp", "uuid_generate_v1mc"),
    ("uuid-ossp", "uuid_generate_v4"),
];

/// Extensions none of whose functions can be allowed: they act outside of the transaction.
pub const REFUSED_EXTENSIONS: &[&str] = &["adminpack", "dblink", "pg_background", "pg_cron", "pg_net", "http", "plsh"];

/// Whether a name means that something acts outside of the transaction or on other sessions: such a function cannot be allowed, nor one
/// whose text names it.
pub fn acts_outside(name: &str) -> bool {
    const WHOLE: &[&str] = &[
        "lowrite",
        "nextval",
        "pg_cancel_backend",
        "pg_logical_emit_message",
        "pg_notify",
        "pg_promote",
        "pg_reload_conf",
        "pg_rotate_logfile",
        "pg_switch_wal",
        "pg_terminate_backend",
        "query_to_xml",
        "query_to_xml_and_xmlschema",
        "set_config",
        "setval",
        "txid_current",
        "pg_current_xact_id",
    ];
    const BEGINNINGS: &[&str] = &[
        "binary_upgrade_",
        "dblink",
        "lo_",
        "pg_advisory_",
        "pg_backup_",
        "pg_clear_",
        "pg_copy_",
        "pg_create_",
        "pg_drop_",
        "pg_file_",
        "pg_ls_",
        "pg_read_",
        "pg_replication_",
        "pg_restore_",
        "pg_stat_reset",
        "pg_try_advisory_",
        "pg_wal_replay_",
        "pg_write_",
    ];
    let name = name.to_ascii_lowercase();
    WHOLE.contains(&name.as_str()) || BEGINNINGS.iter().any(|b| name.starts_with(b)) || name.ends_with("_reset")
}
