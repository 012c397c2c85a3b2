//! Live completion in bash: what fits appears, and a cluster that does not answer costs a second and no error.

use crate::cli_support::Desk;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::symlink,
    time::Duration,
};
use tokio::time::Instant;

const YAML: &str = "environments:\n  production:\n    apps: {web: {files: ['web.log']}, worker: {files: ['worker.log']}}\n  \
                    staging:\n    kube: {context: hole, namespace: shop}\n    apps: {backend: {selector: app=backend}}\n";

/// A user with obsctl on the PATH and a configuration.
pub fn desk() -> Desk {
    let desk = Desk::new().file("obsctl.yaml", YAML);
    let bin = desk.home().join("bin");
    fs::create_dir(&bin).expect("a folder");
    symlink(crate::cli_support::OBSCTL, bin.join("obsctl")).expect("a link");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    desk.var("PATH", path)
}

/// What bash offers after these words; the last one is being typed.
fn bash(desk: &Desk, words: &str) -> Vec<String> {
    let script = format!(
        "source \"$ROOT/completions/obsctl.bash\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE=9; \
         \"$(complete -p obsctl | sed 's/.*-F \\([^ ]*\\).*/\\1/')\" obsctl \"${{COMP_WORDS[COMP_CWORD]}}\" x; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    offered(&desk.bash(&script))
}

/// What a shell printed, a line each; and that it printed nothing else.
pub fn offered(seen: &crate::cli_support::Seen) -> Vec<String> {
    assert_eq!(seen.err, "", "nothing is printed into the shell");
    seen.out.lines().filter(|line| !line.is_empty()).map(|line| line.trim_end().to_owned()).collect()
}

/// A cluster that takes connections and never says anything.
struct Hole {
    _listener: TcpListener,
    kubeconfig: String,
}

impl Hole {
    fn new() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let at = listener.local_addr().expect("its address");
        let kubeconfig = format!(
            "{{apiVersion: v1, kind: Config, current-context: hole, clusters: [{{name: hole, cluster: {{server: 'https://{at}'}}}}], \
             users: [{{name: me, user: {{token: secret}}}}], contexts: [{{name: hole, context: {{cluster: hole, user: me}}}}, \
             {{name: other, context: {{cluster: hole, user: me}}}}]}}"
        );
        Self { _listener: listener, kubeconfig }
    }
}

#[test]
fn bash_completes_commands_flags_and_environments() {
    let desk = desk();
    assert_eq!(bash(&desk, "obsctl lo"), ["logs"]);
    assert!(bash(&desk, "obsctl logs --req").contains(&"--request-id".to_owned()));
    assert_eq!(bash(&desk, "obsctl logs -e ''"), ["production", "staging"]);
    assert_eq!(bash(&desk, "obsctl logs --env st"), ["staging"]);
    assert_eq!(bash(&desk, "obsctl logs -e production w"), ["web", "worker"]);
    assert!(bash(&desk, "obsctl logs -o js").contains(&"json".to_owned()));
}

#[test]
fn contexts_are_those_of_the_kubeconfig() {
    let hole = Hole::new();
    let desk = desk().file("kubeconfig", &hole.kubeconfig);
    let kubeconfig = desk.path("kubeconfig");
    let desk = desk.var("KUBECONFIG", kubeconfig);
    assert_eq!(bash(&desk, "obsctl logs --context ''"), ["hole", "other"]);
}

#[test]
fn a_cluster_that_does_not_answer_costs_a_second_and_no_error() {
    let hole = Hole::new();
    let desk = desk().file("kubeconfig", &hole.kubeconfig);
    let kubeconfig = desk.path("kubeconfig");
    let desk = desk.var("KUBECONFIG", kubeconfig);
    for (words, known) in [("obsctl logs -n ''", &[][..]), ("obsctl logs -e staging po", &[]), ("obsctl logs -e staging ba", &["backend"])]
    {
        let begun = Instant::now();
        assert_eq!(bash(&desk, words), known, "{words}");
        // A second for the cluster; the rest is for a machine that is busy with other tests.
        assert!(begun.elapsed() < Duration::from_secs(4), "{words}: {:?}", begun.elapsed());
    }
    // Nobody listens at all, or the configuration is broken: the same silence.
    drop(hole);
    assert_eq!(bash(&desk, "obsctl logs -n ''"), [""; 0]);
    let broken = desk.file("obsctl.yaml", "environments: [").file("kubeconfig", "{");
    assert_eq!(bash(&broken, "obsctl logs -e ''"), [""; 0]);
    assert_eq!(bash(&broken, "obsctl logs --context ''"), [""; 0]);
}
