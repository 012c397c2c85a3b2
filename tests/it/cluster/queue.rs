//! `obsctl queue` on the whole shop in a real cluster: its URL from the application's own Secret, through a tunnel, with the pods beside
//! the workers.

use crate::support::{Obsctl, SOON, obsctl};
use lab::{
    eventually, get,
    sandbox::{PodSandbox, Profile},
};
use serde_json::Value;

fn at(sandbox: &PodSandbox, words: &str) -> Obsctl {
    let cluster = get().cluster();
    obsctl(cluster.kubeconfig(), words).arg("--config").arg(sandbox.config.to_str().unwrap())
}

/// The worker of an app in an answer of `queue workers`.
fn worker(answer: &Value, app: &str) -> Option<Value> {
    let workers = answer["facts"]["workers"].as_array()?;
    workers.iter().find(|worker| worker["name"].as_str().is_some_and(|name| name.starts_with(app))).cloned()
}

#[test]
fn workers_stand_beside_their_pods() {
    let sandbox = PodSandbox::start(&get().cluster(), Profile::A).unwrap();
    let namespace = sandbox.namespace.name();
    // Where it ran: context, namespace, host and route.
    let ran = at(&sandbox, "queue depth").run();
    let first = ran.out.lines().next().unwrap_or_default().to_owned();
    for part in ["demo", "lab", namespace, "redis:6379 db 0", "tunnel to pod redis-"] {
        assert!(first.contains(part), "{part}: {first}\n{}", ran.err);
    }
    // Once it has run for the first time.
    eventually(SOON, || {
        let ran = at(&sandbox, "queue depth").run();
        if ran.out.contains("beat ") && ran.out.contains("(django_celery_beat)") { Ok(()) } else { Err(ran.out) }
    });
    let healthy = at(&sandbox, "queue workers --ask -o json").run().json();
    let pod = &worker(&healthy, "celery-mail@").unwrap()["pod"];
    assert_eq!((&pod["running"], &pod["ready"], &pod["restarts"]), (&true.into(), &true.into(), &0.into()), "{healthy:#}");

    sandbox.traffic().fault("oom").unwrap();
    eventually(SOON, || {
        let answer = at(&sandbox, "queue workers --ask -o json").run().json();
        let seen = worker(&answer, "celery-export@").unwrap_or_default();
        let end = seen["pod"]["last_end"]["reason"] == "OOMKilled" && seen["pod"]["restarts"].as_u64() >= Some(1);
        if end && seen["state"] == "alive" { Ok(()) } else { Err(format!("{answer:#}")) }
    });
    at(&sandbox, "queue workers").run().shows(&["OOMKilled", "1 restart", "memory limit 200Mi"]);

    // A solo worker at work is silent; that its pod was killed is shown beside it.
    let send = "from shop.celery import app; import django; django.setup(); app.send_task('mail.send_newsletter', kwargs={'seconds': 60}, queue='export')";
    let python = match sandbox.traffic().target() {
        lab::sandbox::traffic::Target::Pods { python, .. } => python.clone(),
        lab::sandbox::traffic::Target::Local { .. } => unreachable!("it runs in pods"),
    };
    let python = python.to_str().unwrap();
    sandbox.namespace.kubectl(&["exec", "deploy/backend", "--", python, "-c", send]).unwrap();
    eventually(SOON, || {
        let ran = at(&sandbox, "queue depth").run();
        let line = ran.out.lines().any(|line| line.contains("silent   celery-export@") && line.contains("OOMKilled"));
        let next = ran.out.contains("obsctl logs pod/celery-export-") && ran.out.contains("--previous");
        if line && next { Ok(()) } else { Err(format!("{}\n{}", ran.out, ran.err)) }
    });

    // The pod at the other end of the tunnel goes, and another comes.
    let mut live = at(&sandbox, "queue depth -w --interval 500ms").start();
    live.says("\"kind\":\"queue.depth\"");
    let before = sandbox.namespace.kubectl(&["get", "pods", "--selector=app=redis", "--output=name"]).unwrap();
    let before = before.trim().trim_start_matches("pod/");
    sandbox.namespace.kubectl(&["delete", "pod", before, "--grace-period=0", "--force"]).unwrap();
    sandbox.namespace.kubectl(&["wait", "--for=condition=available", "--timeout=120s", "deployment/redis"]).unwrap();
    let told = live.out().lines().count();
    eventually(SOON, || match live.out().lines().count() {
        now if now >= told + 3 => Ok(()),
        _ => Err(format!("{}\n{}", live.out(), live.err())),
    });
    live.signal("INT");
    live.end(SOON).ends(130);
}
