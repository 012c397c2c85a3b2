//! Ways to a real server that libpq's users know: TLS to the letter, client certificates, `.pgpass`, a service file.

use crate::cli_support::{Desk, OBSCTL, Seen};
use lab::{Major, PostgresOptions, PostgresServer, get};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

fn secured(version: Major) -> PostgresServer {
    let hba = vec!["hostssl all certified 127.0.0.1/32 cert".to_owned()];
    let server = get().postgres_with(version, &PostgresOptions { tls: true, hba, ..PostgresOptions::default() });
    server.role("oncall", "hunter2", "GRANT pg_monitor TO oncall");
    server
}

#[track_caller]
fn explain(desk: &Desk) -> Seen {
    let seen = desk.start(OBSCTL, ["explain", "SELECT 1"]);
    assert!(!seen.out.contains("hunter2") && !seen.err.contains("hunter2"), "{seen:#?}");
    seen
}

#[track_caller]
fn answers(desk: &Desk, role: &str) {
    let seen = explain(desk);
    assert!(seen.status == 0 && seen.out.contains(&format!("role {role}")), "{seen:#?}");
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its rights");
}

#[test]
fn tls_is_verified_to_the_name() {
    for version in Major::tested() {
        let server = secured(version);
        let ca = server.ca().expect("an authority").display().to_string();
        let at = |host: &str, mode: &str| {
            let url = format!("postgres://oncall:hunter2@{host}:{}/postgres?sslmode={mode}&sslrootcert={ca}", server.port());
            Desk::new().var("DATABASE_URL", url)
        };
        answers(&at("127.0.0.1", "verify-full"), "oncall");
        // The same server, by a name that its certificate is not for.
        let refused = explain(&at("0.0.0.0", "verify-full"));
        assert!(refused.status == 3 && refused.out.is_empty() && refused.err.contains("0.0.0.0"), "{refused:#?}");
        answers(&at("0.0.0.0", "verify-ca"), "oncall");
        server.role("certified", "pw", "GRANT pg_monitor TO certified");
        let (cert, key) = server.client_certificate("certified").expect("a certificate");
        let url = format!(
            "postgres://certified@127.0.0.1:{}/postgres?sslmode=verify-full&sslrootcert={ca}&sslcert={}&sslkey={}",
            server.port(),
            cert.display(),
            key.display()
        );
        answers(&Desk::new().var("DATABASE_URL", url), "certified");
    }
}

#[test]
fn a_password_file_and_a_service_file_are_read() {
    for version in Major::tested() {
        let server = secured(version);
        let ca = server.ca().expect("an authority").display().to_string();
        let port = server.port();
        let bare = format!("postgres://oncall@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert={ca}");
        let desk = Desk::new().var("DATABASE_URL", &bare);
        let refused = explain(&desk);
        assert!(refused.status == 3 && refused.err.contains("none is configured"), "{refused:#?}");
        let passwords = desk.home().join(".pgpass");
        private(&passwords, &format!("127.0.0.1:{port}:postgres:other:wrong\n127.0.0.1:*:postgres:oncall:hunter2\n"));
        answers(&desk, "oncall");
        // libpq leaves a file alone that others may read, and so do we.
        fs::set_permissions(&passwords, fs::Permissions::from_mode(0o644)).expect("its rights");
        assert_eq!(explain(&desk).status, 3);

        let desk = Desk::new().var("DATABASE_URL", "postgres:///?service=shop");
        let service = format!("[shop]\nhost=127.0.0.1\nport={port}\ndbname=postgres\nuser=oncall\nsslmode=verify-full\nsslrootcert={ca}\n");
        fs::write(desk.home().join(".pg_service.conf"), service).expect("a file");
        private(&desk.home().join(".pgpass"), &format!("127.0.0.1:{port}:*:oncall:hunter2\n"));
        answers(&desk, "oncall");
    }
}
