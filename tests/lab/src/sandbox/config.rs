//! The `obsctl.yaml` of a sandbox.

use std::fmt::Write;
use std::path::Path;

/// The apps whose lines an operator reads, and what they are called in a file's name.
const WORKERS: [&str; 3] = ["celery", "celery-mail", "celery-beat"];

/// Without Kubernetes an app is a list of log files and URLs. The balancer before them, which says that it was asked by https, is not there.
pub fn local(logs: &Path, urls: &[String], secrets: &Path) -> String {
    let (logs, secrets) = (logs.display(), secrets.display());
    let url = urls.first().map_or("", String::as_str);
    let mut text = format!(
        "default_environment: demo\n\
         environments:\n  demo:\n    apps:\n      \
         backend: {{files: ['{logs}/backend-*.log'], url: \"{url}\", \
         health: {{path: /api/health/, headers: {{X-Forwarded-Proto: https}}}}}}\n"
    );
    for app in WORKERS {
        // A number, so that `celery` is not `celery-mail` too.
        let _ = writeln!(text, "      {app}: {{files: ['{logs}/{app}-[0-9]*.log']}}");
    }
    let _ = write!(
        text,
        "    postgres:\n      \
         main: {{url: {{file: {secrets}/DATABASE_URL}}}}\n      \
         oncall: {{url: {{file: {secrets}/oncall-env/DATABASE_URL}}}}\n      \
         replica: {{url: {{file: {secrets}/oncall-env/REPLICA_DATABASE_URL}}}}\n    \
         broker: {{url: {{file: {secrets}/CELERY_BROKER_URL}}}}\n    \
         results: {{django_db: main}}\n"
    );
    text
}

/// In a cluster an app is what its labels say, and its URLs are in the Secret that the application itself uses.
pub fn pods(context: &str, namespace: &str) -> String {
    let mut text = format!(
        "default_environment: demo\n\
         environments:\n  demo:\n    kube: {{context: {context}, namespace: {namespace}}}\n    apps:\n      \
         backend: {{selector: app=backend, port: 8000, health: /api/health/}}\n"
    );
    for app in WORKERS.iter().chain(&["celery-export", "importer", "chatty"]) {
        let _ = writeln!(text, "      {app}: {{selector: app={app}}}");
    }
    text.push_str(
        "    postgres:\n      \
         main: {url: {secret: backend-env, key: DATABASE_URL}}\n      \
         oncall: {url: {secret: oncall-env, key: DATABASE_URL}}\n      \
         replica: {url: {secret: oncall-env, key: REPLICA_DATABASE_URL}}\n    \
         broker: {url: {secret: backend-env, key: CELERY_BROKER_URL}}\n    \
         results: {django_db: main}\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_line_stands_where_yaml_wants_it() {
        let text = super::local(Path::new("/d/logs"), &["http://127.0.0.1:1".to_owned()], Path::new("/d/secrets"));
        assert_eq!(
            text,
            "default_environment: demo\n\
             environments:\n\
             \x20 demo:\n\
             \x20   apps:\n\
             \x20     backend: {files: ['/d/logs/backend-*.log'], url: \"http://127.0.0.1:1\", \
             health: {path: /api/health/, headers: {X-Forwarded-Proto: https}}}\n\
             \x20     celery: {files: ['/d/logs/celery-[0-9]*.log']}\n\
             \x20     celery-mail: {files: ['/d/logs/celery-mail-[0-9]*.log']}\n\
             \x20     celery-beat: {files: ['/d/logs/celery-beat-[0-9]*.log']}\n\
             \x20   postgres:\n\
             \x20     main: {url: {file: /d/secrets/DATABASE_URL}}\n\
             \x20     oncall: {url: {file: /d/secrets/oncall-env/DATABASE_URL}}\n\
             \x20     replica: {url: {file: /d/secrets/oncall-env/REPLICA_DATABASE_URL}}\n\
             \x20   broker: {url: {file: /d/secrets/CELERY_BROKER_URL}}\n\
             \x20   results: {django_db: main}\n"
        );
        assert!(super::pods("lab", "shop").contains("\n      replica: {url:"));
    }
}
