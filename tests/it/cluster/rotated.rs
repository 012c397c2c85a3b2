//! `--rotated`: the node's own files against an independent reading of them, and what goes wrong on the way to them.

#![expect(clippy::disallowed_methods, reason = "a proxy that harms answers talks to sockets")]

use super::{admin, container, pod, simple, standard::Kept};
use crate::support::{Ran, SOON, obsctl};
use lab::{Namespace, eventually, rule};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Child,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// Each life writes two rounds of more than the node keeps in one file, with a line of 40 kB, which the runtime writes in parts. The
/// first life crashes; the second becomes silent.
const CHATTY: &str = r#"
life=1; [ -e /life/first ] && life=2
touch /life/first
for round in 1 2; do
  awk -v r=$life$round 'BEGIN {
    pad = "x"; while (length(pad) < 100) pad = pad "x"
    for (i = 0; i < 9000; i++) printf "{\"event\": \"line\", \"n\": \"%d-%d\", \"request_id\": \"rot-%d-%06d\", \"pad\": \"%s\"}\n", r, i, r, i, pad
    while (length(pad) < 40000) pad = pad pad
    printf "{\"event\": \"long\", \"n\": \"%d-long\", \"pad\": \"%s\"}\n", r, pad
  }'
  sleep 8
done
[ $life = 1 ] && sleep 50
echo "{\"event\": \"life $life is over\"}"
[ $life = 1 ] && exit 3
exec sleep 3600"#;

pub struct Chatty {
    ns: Namespace,
    /// What its files hold, in the order in which it was written.
    lines: Vec<String>,
}

pub static KEPT: Kept<Chatty> = Kept::new();

/// A container with rotated, compressed files of two lives, which writes no more.
fn chatty() -> Arc<Chatty> {
    KEPT.get(|| {
        let ns = lab::get().cluster().namespace("rotated");
        let life = container("main", CHATTY).replacen('{', "{volumeMounts: [{name: life, mountPath: /life}], ", 1);
        ns.apply(&pod("chatty", "volumes: [{name: life, emptyDir: {}}]", &[life]));
        ns.apply(&simple("calm", "echo '{\"event\": \"calm\", \"request_id\": \"calm-123456\"}'; exec sleep 3600"));
        let settled = || {
            let names: Vec<String> = ns.node_log_files("chatty").into_iter().map(|f| f.name).collect();
            let gzipped = |life: &str| names.iter().any(|n| n.starts_with(life) && n.ends_with(".gz"));
            let over = ns.kubectl(&["logs", "chatty", "--tail=3"]).unwrap_or_default().contains("life 2 is over");
            if over && gzipped("1.log") && names.iter().any(|n| n.starts_with("0.log.")) { Ok(()) } else { Err(format!("{names:?}")) }
        };
        eventually(SOON, settled);
        ns.wait("pod/calm", "condition=Ready", SOON);
        Chatty { lines: on_the_node(&ns, "chatty"), ns }
    })
}

/// What the files of a pod hold, read from the node: lives and rotations in order, decompressed, parts joined.
fn on_the_node(ns: &Namespace, pod: &str) -> Vec<String> {
    let mut files = ns.node_log_files(pod);
    files.retain(|f| !f.name.ends_with(".tmp"));
    // The current file of a life comes after its rotated ones.
    files.sort_by_key(|f| {
        let (life, stamp) = f.name.split_once(".log").unwrap();
        (life.parse::<u32>().unwrap(), stamp.is_empty(), stamp.trim_end_matches(".gz").to_owned())
    });
    let mut lines = Vec::new();
    let mut part = String::new();
    for file in files {
        let bytes = fs::read(&file.path).unwrap();
        let mut text = String::new();
        if file.name.ends_with(".gz") {
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        for line in text.lines() {
            let mut words = line.splitn(4, ' ').skip(2);
            let kind = words.next().unwrap();
            part.push_str(words.next().unwrap_or_default());
            if kind == "F" {
                lines.push(std::mem::take(&mut part));
            }
        }
    }
    lines
}

fn lines(ran: &Ran) -> Vec<&str> {
    ran.out.lines().collect()
}

#[track_caller]
fn same(shown: &[&str], written: &[String], err: &str) {
    let place = shown.iter().zip(written).position(|(s, w)| s != w);
    let around = |of: &dyn Fn(usize) -> String| place.map(|i| (i.saturating_sub(1)..i + 3).map(of).collect::<Vec<_>>());
    let clip = |text: &str| text.chars().take(70).collect::<String>();
    assert!(
        shown.len() == written.len() && place.is_none(),
        "{} lines shown, {} written; first difference {place:?}: shown {:?}, written {:?}\n{err}",
        shown.len(),
        written.len(),
        around(&|i| shown.get(i).map(|l| clip(l)).unwrap_or_default()),
        around(&|i| written.get(i).map(|l| clip(l)).unwrap_or_default())
    );
}

#[test]
fn every_line_that_the_files_hold_once_and_in_order() {
    let chatty = chatty();
    let ran = admin(&chatty.ns, "logs po/chatty --rotated --raw --tail -1").run().ends(0);
    same(&lines(&ran), &chatty.lines, &ran.err);
    // A file was deleted where the kubelet keeps fewer than were written: then the first line is not the container's first, and that is said.
    let whole = chatty.lines[0].contains("\"11-0\"");
    assert_eq!(ran.err.contains("rotated away"), !whole, "{}", ran.err);
    // The API alone has less, and the coverage says how to get the rest.
    let ran = admin(&chatty.ns, "logs po/chatty --raw --tail -1 -i over").run().ends(0).warns(&["rotated away", "--rotated"]);
    assert!(lines(&ran).len() < chatty.lines.len() / 2, "{} lines", lines(&ran).len());
    // Beside others, in order of time.
    let ran = admin(&chatty.ns, "logs --rotated --raw --tail -1").run().ends(0);
    let (calm, of_chatty): (Vec<&str>, Vec<&str>) = lines(&ran).into_iter().partition(|l| l.contains("calm"));
    assert_eq!(calm.len(), 1);
    same(&of_chatty, &chatty.lines, &ran.err);
}

#[test]
fn a_request_in_a_rotated_file_is_found() {
    let chatty = chatty();
    let first = chatty.lines.iter().find_map(|l| Some(l.split_once("\"request_id\": \"")?.1.split('"').next()?.to_owned())).unwrap();
    let ran = admin(&chatty.ns, &format!("logs -r {first}")).run().ends(3);
    ran.shows(&["not found in what could be read", "rotated away", &format!("obsctl logs -r {first} --rotated")]);
    let ran = admin(&chatty.ns, &format!("logs -r {first} --rotated")).run().ends(0).shows(&[&first, "line"]);
    assert_eq!(ran.count("read in full"), 1, "{}", ran.out);
    // Everything was read: absent is absent.
    admin(&chatty.ns, "logs -r nowhere-1234 --rotated").run().ends(1).shows(&["no record carries the request ID"]);
    // The newest life alone, and only files that reach into the window.
    let ran = admin(&chatty.ns, "logs po/chatty --rotated --raw --since 1s").run().ends(0);
    assert_eq!(ran.out, "");
    let ran = admin(&chatty.ns, "logs po/chatty --rotated --raw --previous --tail -1").run().ends(0);
    let before: Vec<String> = {
        let over = chatty.lines.iter().position(|l| l.contains("life 1 is over")).unwrap();
        chatty.lines[..=over].to_vec()
    };
    same(&lines(&ran), &before, &ran.err);
}

#[test]
fn without_the_right_the_api_is_read_and_nobody_is_told_to_grant_it() {
    let chatty = chatty();
    let kubeconfig = chatty.ns.kubeconfig_for("plainreader", &[rule("get,list", "pods"), rule("get", "pods/log")]);
    let ran = eventually(SOON, || {
        let ran = obsctl(&kubeconfig, "logs po/chatty --rotated --raw --tail -1 -i over").run();
        if ran.err.contains("needs list on pods") || ran.err.contains("needs get on pods") { Err(ran.err) } else { Ok(ran) }
    });
    let ran = ran.ends(0).warns(&["you may not get nodes/proxy", "rotated away", "not one to be given for this"]);
    let ran = ran.never_says(&["grant", "kind: Role", "kind: ClusterRole"]);
    let beside = obsctl(&kubeconfig, "logs po/chatty --raw --tail -1 -i over").run().ends(0);
    assert_eq!(ran.out, beside.out);
    // Whoever has it may use it, whatever else they may do.
    let strong = chatty
        .ns
        .cluster()
        .kubeconfig_for(&format!("strong-{}", chatty.ns.name()), &[rule("get", "nodes/proxy,pods"), rule("list", "pods")]);
    let ran = eventually(SOON, || {
        let ran = obsctl(&strong, "logs po/chatty --rotated --raw --tail -1 --namespace").arg(chatty.ns.name()).run();
        if ran.out.is_empty() { Err(ran.err) } else { Ok(ran) }
    });
    same(&lines(&ran), &chatty.lines, &ran.err);
    admin(&chatty.ns, "logs chatty --rotated -f").run().ends(2).warns(&["--rotated", "--follow"]);
}

/// A pod that writes about 1 MB a second: rotated every few seconds, the oldest file deleted.
fn busy(name: &str) -> Namespace {
    let ns = lab::get().cluster().namespace(name);
    let script = "i=0; pad=$(head -c 150 /dev/zero | tr '\\0' x); while :; do awk -v i=$i -v pad=$pad 'BEGIN { for (k = 0; k < 1000; k++) \
                  print \"<\" i + k \"> \" pad }'; i=$((i + 1000)); usleep 150000; done";
    ns.apply(&simple("busy", script));
    eventually(SOON, || {
        let names: Vec<String> = ns.node_log_files("busy").into_iter().map(|f| f.name).collect();
        if names.iter().filter(|n| n.ends_with(".gz")).count() >= 2 { Ok(()) } else { Err(format!("{names:?}")) }
    });
    ns
}

const DELETED: &str = "older files of its log were deleted while it was read";

/// The numbers of the lines, and those behind which others are missing. The runtime cuts a line in two where a rotation falls into it, and
/// obsctl joins it again: only where the file before is gone there may be half a line.
#[track_caller]
fn numbers(ran: &Ran) -> (Vec<u64>, Vec<u64>) {
    let mut numbers: Vec<u64> = Vec::new();
    let mut gaps = Vec::new();
    let mut half = true;
    for line in lines(ran) {
        match line.strip_prefix('<').and_then(|l| l.split('>').next()?.parse().ok()) {
            Some(number) => {
                let before = numbers.last().copied();
                if before.is_some_and(|before| before + 1 != number) {
                    gaps.extend(before);
                }
                // What stands before a gap may be the first half of a line.
                assert!(half || line.len() == format!("<{number}> ").len() + 150 || ran.err.contains(DELETED), "{line:?} is half a line");
                numbers.push(number);
            }
            None => assert!(half || ran.err.contains(DELETED), "{line:?} is no line that was written"),
        }
        half = false;
    }
    (numbers, gaps)
}

#[test]
fn files_that_rotate_while_they_are_read_lose_nothing() {
    let ns = busy("rotating");
    for round in 0..6 {
        let ran = admin(&ns, "logs busy --rotated --raw --tail -1").run().ends(0);
        let (numbers, gaps) = numbers(&ran);
        // The kubelet deletes the oldest file while it is read: then it says so, and only there a number may be missing.
        assert!(gaps.is_empty() || ran.err.contains(DELETED), "round {round}: {gaps:?} of {}\n{}", numbers.len(), ran.err);
        assert!(numbers.len() > 10_000, "{}", numbers.len());
    }
}

#[test]
fn the_newest_file_that_is_deleted_before_its_turn_is_said() {
    let ns = busy("overtaken");
    // While the last file before it is read, the newest is renamed, and then deleted as the oldest.
    let ran = Between::with(&ns, Harm::Late).logs("busy --rotated --raw --tail -1").ends(0).warns(&[DELETED]);
    let (numbers, gaps) = numbers(&ran);
    assert!(!gaps.is_empty(), "none of {}", numbers.len());
}

/// What the proxy does to an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    /// 403 for the second and every later file.
    Refuse,
    /// Half of each compressed file, as a whole answer.
    CutGz,
    /// The first answer for the newest rotated plain file, and the first for the current one, break off in the middle.
    Break,
    /// The node is not known.
    NoNode,
    /// The node does not answer.
    NotReady,
    /// The kubelet serves no files.
    NoLogs,
    /// The last file before the newest comes so slowly that the newest is renamed and deleted meanwhile.
    Late,
}

/// Plain HTTP before `kubectl proxy`: harms the answers for the node's files, passes everything else on.
struct Between {
    kubeconfig: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
    kubectl: Child,
}

impl Drop for Between {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

impl Between {
    fn with(ns: &Namespace, harm: Harm) -> Self {
        let port = lab::ports::free().unwrap();
        let kubectl = ns.cluster().kubectl_command().args(["proxy", &format!("--port={port}"), "--accept-paths=^.*", "--reject-paths=^$"]);
        let kubectl = kubectl.child().unwrap();
        eventually(SOON, || TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|e| e.to_string()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let known = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let known = known.clone();
                thread::spawn(move || serve(client, port, harm, &known));
            }
        });
        let kubeconfig = tempfile::tempdir().unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://127.0.0.1:{here}\"}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u, namespace: {}}}}}]\nusers: [{{name: u, user: {{}}}}]\n",
            ns.name()
        );
        fs::write(kubeconfig.path().join("config"), text).unwrap();
        Self { kubeconfig, asked, kubectl }
    }

    fn logs(&self, words: &str) -> Ran {
        obsctl(&self.kubeconfig.path().join("config"), "logs").arg_all(words).run()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// One question on a connection, which then ends.
fn serve(mut client: TcpStream, port: u16, harm: Harm, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|n| n > 2) {}
    let length = header(&head, "content-length").and_then(|l| l.parse::<usize>().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let file = path.contains("/proxy/logs/pods/") && path.contains(".log");
    let range = header(&head, "range").unwrap_or_default();
    let whole = !range.ends_with("-4095");
    let before = {
        let mut asked = asked.lock().unwrap();
        asked.push(format!("{path} {range}"));
        asked.iter().filter(|a| a.contains(".log") && a.contains("/proxy/") && !a.ends_with("-4095")).count()
    };
    let refusal = |code: u16, message: &str| {
        let body = format!(
            "{{\"kind\": \"Status\", \"apiVersion\": \"v1\", \"status\": \"Failure\", \"message\": \"{message}\", \"code\": {code}}}"
        );
        format!("HTTP/1.1 {code} No\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    let refused = match harm {
        Harm::Refuse if file && whole && before > 1 => Some(refusal(403, "nodes is forbidden")),
        Harm::NoNode if path.contains("/proxy/") => Some(refusal(404, "nodes \\\"node-1\\\" not found")),
        Harm::NotReady if path.contains("/proxy/") => Some(refusal(503, "error trying to reach service: dial tcp: connection refused")),
        Harm::NoLogs if path.contains("/proxy/") => {
            Some("HTTP/1.1 404 No\r\nContent-Length: 19\r\nConnection: close\r\n\r\n404 page not found\n".to_owned())
        }
        _ => None,
    };
    if let Some(answer) = refused {
        let _ = client.write_all(answer.as_bytes());
        return;
    }
    let mut upstream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let kept: Vec<&str> = head.lines().filter(|l| !l.is_empty() && !l.to_ascii_lowercase().starts_with("connection:")).collect();
    let question = format!("{}\r\nConnection: close\r\n\r\n", kept.join("\r\n"));
    upstream.write_all(question.as_bytes()).unwrap();
    upstream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    let _ = upstream.read_to_end(&mut answer);
    let harmed = file && whole && range.is_empty();
    let first = asked.lock().unwrap().iter().filter(|a| a.starts_with(&format!("{path} ")) && !a.ends_with("-4095")).count() == 1;
    let cut = match harm {
        Harm::CutGz if harmed && path.ends_with(".gz") => true,
        Harm::Break if harmed && first && !path.ends_with(".gz") => true,
        _ => false,
    };
    if cut {
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let half = (answer.len() - end) / 2;
        if harm == Harm::CutGz {
            let head = String::from_utf8_lossy(&answer[..end]).into_owned();
            let kept: Vec<&str> =
                head.lines().filter(|l| !l.is_empty() && !l.to_ascii_lowercase().starts_with("content-length:")).collect();
            let mut shorter = format!("{}\r\nContent-Length: {half}\r\n\r\n", kept.join("\r\n")).into_bytes();
            shorter.extend_from_slice(&answer[end..end + half]);
            answer = shorter;
        } else {
            answer.truncate(end + half);
        }
    }
    if harm == Harm::Late && file {
        let named = |path: &str| path.rsplit('/').next().unwrap_or_default().trim_end_matches(".gz").to_owned();
        let folder = format!("{}/", path.rsplit_once('/').unwrap().0);
        let stamps = || -> Vec<String> {
            let mut page = String::new();
            let mut upstream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            upstream.write_all(format!("GET {folder} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
            let _ = upstream.read_to_string(&mut page);
            let mut names: Vec<String> = page
                .split("href=\"")
                .skip(1)
                .map(|rest| named(rest.split('"').next().unwrap()))
                .filter(|n| n.starts_with("0.log.") && !n.ends_with(".tmp"))
                .collect();
            names.sort();
            names
        };
        // The last that was rotated before the question, when its turn comes: slowly, until what came after it has come and gone.
        let last = {
            let mut asked = asked.lock().unwrap();
            if !asked.iter().any(|a| a.starts_with("last ")) {
                let last = stamps().pop().unwrap_or_default();
                asked.push(format!("last {last}"));
            }
            asked.iter().find_map(|a| Some(a.strip_prefix("last ")?.to_owned())).unwrap()
        };
        let once = |asked: &Mutex<Vec<String>>| {
            let mut asked = asked.lock().unwrap();
            let first = !asked.iter().any(|a| a == "slow");
            asked.push("slow".to_owned());
            first
        };
        if whole && named(&path) == last && once(asked) {
            let after = || stamps().into_iter().find(|n| *n > last);
            let (slow, rest) = answer.split_at(answer.len() / 2);
            let (head, mut slow) = slow.split_at(slow.len() / 2);
            let _ = client.write_all(head);
            let next = eventually(SOON, || after().ok_or_else(|| "no rotation".to_owned()));
            eventually(Duration::from_secs(120), || {
                let (byte, others) = slow.split_at(1);
                let _ = client.write_all(byte);
                slow = others;
                if stamps().contains(&next) { Err(format!("{next} is still there")) } else { Ok(()) }
            });
            let _ = client.write_all(slow);
            answer = rest.to_vec();
        }
    }
    let _ = client.write_all(&answer);
    let _ = client.shutdown(Shutdown::Both);
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|l| {
        let (key, value) = l.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

const ALL: &str = "po/chatty --rotated --raw --tail -1";

#[test]
fn a_right_that_is_lost_in_the_middle_leaves_the_rest_to_the_api() {
    let chatty = chatty();
    let ran = Between::with(&chatty.ns, Harm::Refuse).logs(ALL).ends(0).warns(&["refused in the middle", "nodes/proxy"]);
    let shown = lines(&ran);
    // What was shown was written, in that order, each once; the first file and what the API has are there.
    let mut rest = chatty.lines.iter();
    assert!(shown.iter().all(|l| rest.any(|w| w == l)), "not in order, or twice: {} lines", shown.len());
    assert_eq!(shown.first().map(|l| (*l).to_owned()), chatty.lines.first().cloned());
    assert_eq!(shown.last().map(|l| (*l).to_owned()), chatty.lines.last().cloned());
    assert!(shown.len() < chatty.lines.len());
}

#[test]
fn a_compressed_file_that_is_cut_short_is_said_and_the_rest_is_there() {
    let chatty = chatty();
    let ran = Between::with(&chatty.ns, Harm::CutGz).logs(ALL).ends(0).warns(&[".gz is cut short or damaged"]);
    let shown = lines(&ran);
    let mut rest = chatty.lines.iter();
    assert!(shown.iter().all(|l| rest.any(|w| w == l)), "not in order, or twice: {} lines", shown.len());
    assert!(shown.len() < chatty.lines.len() && shown.len() > chatty.lines.len() / 3, "{} of {}", shown.len(), chatty.lines.len());
}

#[test]
fn a_stream_that_breaks_off_goes_on_where_it_was() {
    let chatty = chatty();
    let between = Between::with(&chatty.ns, Harm::Break);
    let ran = between.logs(ALL).ends(0);
    same(&lines(&ran), &chatty.lines, &ran.err);
    let resumed = between.asked().into_iter().filter(|a| a.contains("bytes=") && !a.ends_with("-4095")).count();
    assert!(resumed > 0, "no answer was taken up in the middle: {:?}", between.asked());
}

#[test]
fn a_node_that_cannot_be_asked_is_said_and_the_api_is_read() {
    let chatty = chatty();
    let api = admin(&chatty.ns, "logs po/calm --raw --tail -1").run().ends(0).out;
    for (harm, says) in [(Harm::NoNode, "no such node"), (Harm::NotReady, "connection refused"), (Harm::NoLogs, "serves no log files")] {
        let ran = Between::with(&chatty.ns, harm).logs("po/calm --rotated --raw --tail -1").ends(0).warns(&[says]);
        assert_eq!(ran.out, api, "{harm:?}");
        assert!(ran.took < Duration::from_secs(30), "{harm:?}: {:?}", ran.took);
    }
}
