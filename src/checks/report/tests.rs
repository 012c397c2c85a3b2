//! Every form of the same run: one of each outcome, with text that wants to break out of its form.

use super::*;
use crate::{
    answer::Coverage,
    checks::model::{CheckCounts, CheckPlace, Figure, Unanswered, Unit},
};
use proptest::prelude::*;

fn result(name: &str, status: CheckStatus, unanswered: Option<Unanswered>, says: &str) -> CheckResult {
    CheckResult {
        name: Safe::name(name),
        system: "queue",
        status,
        unanswered,
        says: Safe::name(says),
        want: "oldest ≤ 10m".into(),
        figures: vec![Figure::number("oldest", "mail", Unit::Seconds, 12.5), Figure::number("share", "", Unit::Share, 0.5)],
        bounds: vec![crate::checks::model::BoundSaid {
            figure: "oldest".into(),
            fails: true,
            range: Some("~:600".into()),
            says: "oldest > 10m".into(),
        }],
        evidence: vec![Safe::name("::error::hello | <b>'x'=1</b>")],
        next: Vec::new(),
        route: Default::default(),
        runbook: None,
        tags: Vec::new(),
        because_of: Vec::new(),
        since: None,
        note: None,
        place: Some(CheckPlace { file: "a,b:c.yaml".into(), line: 3, column: 5 }),
        took_ms: 1234,
    }
}

fn answer(checks: Vec<CheckResult>) -> Answer<CheckFacts> {
    let facts = CheckFacts { counts: CheckCounts::of(&checks), checks, took_ms: 2600, ..CheckFacts::default() };
    Answer { findings: facts.findings(), facts, coverage: Coverage::default(), sources: Vec::new() }
}

fn all() -> Answer<CheckFacts> {
    let mut checks = vec![
        result("f\"<&'", CheckStatus::Failed, None, "a % b\n::error::c, d: | e"),
        result("late", CheckStatus::Failed, Some(Unanswered::Timeout), "no answer"),
        result("denied", CheckStatus::Unknown, Some(Unanswered::NoPermission), "denied"),
        result("nothing", CheckStatus::Unknown, Some(Unanswered::NoData), "none"),
        result("lost", CheckStatus::Unknown, Some(Unanswered::Unreachable), "refused"),
        result("warned", CheckStatus::Warning, None, "warned"),
        result("skipped", CheckStatus::Skipped, None, "needs f"),
        result("well", CheckStatus::Ok, None, "well"),
    ];
    checks.sort_by_key(|c| std::cmp::Reverse(c.status));
    answer(checks)
}

fn text(form: ReportForm, answer: &Answer<CheckFacts>, warnings_fail: bool) -> String {
    let place = Where { environment: Some("demo".into()), ..Where::default() };
    report(form, ReportOf { answer, place: &place, status: ExitStatus::BadNews, warnings_fail }, &Look::default()).to_string()
}

#[test]
fn each_outcome_has_a_word_of_its_own_in_each_report() {
    let answer = all();
    for (word, form) in ReportForm::ALL {
        let text = text(form, &answer, false);
        for why in ["timeout", "no-permission", "no-data", "unreachable"] {
            assert!(text.contains(why), "{word} does not say {why}:\n{text}");
        }
    }
}

#[test]
fn junit_counts_and_escapes() {
    let xml = text(ReportForm::Junit, &all(), false);
    assert!(xml.contains("tests=\"8\" failures=\"2\" errors=\"3\" skipped=\"1\" time=\"2.600\""), "{xml}");
    assert!(xml.contains("name=\"f&quot;&lt;&amp;'\"") && !xml.contains("<b>"), "{xml}");
    assert!(xml.contains("<error message=\"denied (want oldest ≤ 10m)\" type=\"no-permission\">"), "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), 8);
    assert!(text(ReportForm::Junit, &all(), true).contains("failures=\"3\""));
}

#[test]
fn github_annotates_the_line_and_nothing_else() {
    let text = text(ReportForm::Github, &all(), false);
    assert!(text.contains("::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=f\"<&' failed::a %25 b\\n::error::c"), "{text}");
    assert!(text.contains("::warning file=a%2Cb%3Ac.yaml,line=3,col=5,title=warned warning::"), "{text}");
    // One command per line, and none that came from a body.
    assert!(
        text.lines().all(|l| l.starts_with("::error file=") || l.starts_with("::warning file=") || l.starts_with("::notice title=")),
        "{text}"
    );
}

#[test]
fn nagios_has_one_line_of_status_and_values_with_ranges() {
    let text = text(ReportForm::Nagios, &all(), false);
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with("OBSCTL CRITICAL - "), "{first}");
    assert_eq!(first.matches('|').count(), 1, "{first}");
    assert!(first.contains("'well mail oldest'=12.5s;;~:600") && first.contains("'well share'=50%"), "{first}");
    assert_eq!(nagios_unknown(&"a | b".into()).as_str(), "OBSCTL UNKNOWN - a / b\n");
}

#[test]
fn prometheus_names_each_series_once() {
    let text = text(ReportForm::Prometheus, &all(), false);
    assert!(
        text.contains("obsctl_check_status{environment=\"demo\",check=\"late\",system=\"queue\",route=\"notify\",why=\"timeout\"} 2"),
        "{text}"
    );
    assert!(
        text.contains("obsctl_check_value{environment=\"demo\",check=\"f\\\"<&'\",figure=\"oldest\",of=\"mail\",unit=\"seconds\"} 12.5"),
        "{text}"
    );
    let series: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.rsplit_once(' ')).map(|(s, _)| s).collect();
    assert_eq!(series.iter().collect::<std::collections::BTreeSet<_>>().len(), series.len());
    assert!(text.ends_with('\n'));
}

#[test]
fn lines_begin_and_end() {
    let text = text(ReportForm::Ndjson, &all(), false);
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(
        (lines.len(), &lines[0]["type"], &lines[9]["type"], &lines[9]["exit_status"]),
        (10, &"run_start".into(), &"run_end".into(), &1.into())
    );
    let whole: serde_json::Value = serde_json::from_str(&super::tests::text(ReportForm::Json, &all(), false)).expect("JSON");
    assert_eq!((&whole["kind"], &whole["facts"]["counts"]["failed"]), (&"check".into(), &2.into()));
}

#[test]
fn where_a_report_goes_is_read() {
    assert_eq!(ReportAsk::parse("junit=a=b.xml"), Ok(ReportAsk { form: ReportForm::Junit, file: Some("a=b.xml".into()) }));
    assert_eq!(ReportAsk::parse("github"), Ok(ReportAsk { form: ReportForm::Github, file: None }));
    assert!(ReportAsk::parse("tap").is_err() && ReportAsk::parse("junit=").is_err());
}

proptest! {
    /// Whatever a server said, it stays inside of its form.
    #[test]
    fn text_cannot_break_out(says in "\\PC{0,30}|(::|%|\\n|\\r|<|>|&|\"|'|\\||=|,|:|[a-z]){0,30}") {
        let answer = answer(vec![result("a", CheckStatus::Failed, None, &says)]);
        let github = text(ReportForm::Github, &answer, false);
        prop_assert_eq!(github.lines().count(), 2);
        prop_assert!(github.lines().all(|l| l.starts_with("::")));
        let nagios = text(ReportForm::Nagios, &answer, false);
        prop_assert_eq!(nagios.lines().next().unwrap_or_default().matches('|').count(), 1);
        let xml = text(ReportForm::Junit, &answer, false);
        prop_assert_eq!(xml.matches("<failure ").count(), 1);
        prop_assert_eq!(xml.matches('<').count(), xml.matches('>').count());
        let prometheus = text(ReportForm::Prometheus, &answer, false);
        prop_assert!(prometheus.lines().all(|l| l.starts_with("# ") || l.starts_with("obsctl_")));
    }
}

#[test]
fn what_several_checks_say_alike_is_shown_once() {
    let unseen = |name| result(name, CheckStatus::Unknown, Some(Unanswered::Unreachable), "connection refused");
    let other = result("sql", CheckStatus::Unknown, Some(Unanswered::Unreachable), "no such host");
    let answer = answer(vec![unseen("pods"), unseen("restarts"), other, unseen("health")]);
    let screen = |verbose| {
        let look = Look { verbose, ..Look::default() };
        crate::report::human::text(&crate::checks::view::check(&answer, &Where::default(), ExitStatus::BadNews, &look), &look)
    };
    let short = screen(false);
    let flat = short.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("pods connection refused") && flat.contains("the same: restarts, health"), "{short}");
    assert!(flat.contains("no such host") && flat.matches("the same: ").count() == 1, "{short}");
    // All of them one by one where that is asked for.
    assert!(!screen(true).contains("the same: "));
}
