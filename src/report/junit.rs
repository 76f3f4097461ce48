//! JUnit XML: an entry in sync is a passed test, one that is not is a failed test.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use crate::model::{FileName, Key, SetUpId, Visible, visible_lines};
use crate::plan::{Action, CredentialState, Step, Withheld};

use super::finding::{self, Finding, Level};
use super::{Format, Report, TargetReport, key_of, words};
use crate::reconcile::outcome_of;

type Xml = Writer<Vec<u8>>;

/// A test and how it ended.
struct TestCase {
    class: String,
    name: String,
    result: CaseResult,
}

enum CaseResult {
    Passed,
    /// What kind, in one line, and in full.
    Failed(&'static str, String, String),
    /// It is not known.
    Broken(String),
    Skipped(String),
}

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "junit",
    about: "JUnit XML: an entry that is not in sync is a failed test",
    write: |report, _| suites(report),
    is_report: |text| text.contains("<testsuites name=\"appcred\">"),
};

/// A suite for the manifests, and one for each target.
///
/// # Errors
/// None in practice: XML is written to memory.
fn suites(report: &Report<'_>) -> io::Result<String> {
    let mut suites = vec![("manifests".to_owned(), of_manifests(report))];
    let selected = report.selected().map(|selected| format!(" ({selected})")).unwrap_or_default();
    let named = |target: &TargetReport<'_>| format!("{}{selected}", target.name);
    suites.extend(report.targets.iter().map(|target| (named(target), of_target(target))));
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.create_element("testsuites").with_attribute(("name", "appcred")).write_inner_content(
        |xml| {
            for (name, cases) in &suites {
                suite(xml, name, cases)?;
            }
            Ok(())
        },
    )?;
    let body = String::from_utf8_lossy(&xml.into_inner()).into_owned();
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}\n"))
}

fn of_manifests(report: &Report<'_>) -> Vec<TestCase> {
    let problems = report.problems.sorted();
    let findings: Vec<Finding> =
        problems.iter().map(|problem| finding::of_problem(problem, report.names)).collect();
    let place = |finding: &Finding| {
        finding.at.as_ref().map_or_else(|| report.names.project_file(), |at| at.file.clone())
    };
    let mut files: BTreeSet<FileName> =
        report.manifests.iter().map(|file| report.names.of(file)).collect();
    files.extend(findings.iter().map(place));
    let case = |file: FileName| {
        let errors: Vec<&Finding> = findings
            .iter()
            .filter(|finding| finding.level == Level::Error && place(finding) == file)
            .collect();
        let result = match errors.first() {
            None => CaseResult::Passed,
            Some(first) => {
                let text: Vec<String> = errors.iter().map(|finding| in_full(finding)).collect();
                CaseResult::Failed(first.code.as_str(), first.message.clone(), text.join("\n"))
            }
        };
        TestCase { class: "manifests".to_owned(), name: file.to_string(), result }
    };
    files.into_iter().map(case).collect()
}

fn in_full(finding: &Finding) -> String {
    let place = finding
        .at
        .as_ref()
        .map_or_else(String::new, |at| format!("{}:{}:{}: ", at.file, at.line, at.column));
    let mut text = format!("{place}{}", finding.message);
    for more in &finding.more {
        text.push_str("\n  ");
        text.push_str(more);
    }
    text
}

fn of_target(target: &TargetReport<'_>) -> Vec<TestCase> {
    let class = |domain: &str| format!("{}.{domain}", target.name);
    let plan = match target.plan {
        Ok(plan) => plan,
        Err(why) => {
            let result = CaseResult::Broken(why.to_owned());
            return vec![TestCase {
                class: target.name.to_string(),
                name: "reach".to_owned(),
                result,
            }];
        }
    };
    let case = |action: &Action, result: CaseResult| {
        let (class, name) = (class(action.domain().as_str()), name_of(action));
        (action.code().as_str(), TestCase { class, name, result })
    };
    // The credential may be as wanted, and its integration still to be set up.
    let actions = plan.steps.iter().map(|step| &step.action);
    let actions = actions.chain(plan.withheld.iter().map(|withheld| &withheld.action));
    let with_actions: BTreeSet<&Key> =
        actions.filter_map(Action::for_entry).map(|entry| &entry.key).collect();
    let in_sync = plan.credential_states.iter().filter_map(|of| match &of.state {
        CredentialState::InSync(key) if !with_actions.contains(key) => {
            let (class, name) = (class(of.held.domain.as_str()), key.to_string());
            Some(("in_sync", TestCase { class, name, result: CaseResult::Passed }))
        }
        _ => None,
    });
    let steps = plan.steps.iter().map(|step| case(&step.action, of_step(target, step)));
    let withheld =
        plan.withheld.iter().map(|withheld| case(&withheld.action, of_withheld(withheld)));
    let unknown = plan.unknown.iter().map(|unknown| {
        let (class, name) = (class(unknown.domain.as_str()), unknown.key.to_string());
        let result = CaseResult::Skipped(words::unknowable(unknown.what).0.to_owned());
        ("unknown", TestCase { class, name, result })
    });
    named_apart(in_sync.chain(steps).chain(withheld).chain(unknown).collect())
}

/// Tests of one class, of which no two have one name: GitLab shows the first of a name alone.
fn named_apart(cases: Vec<(&'static str, TestCase)>) -> Vec<TestCase> {
    let id = |case: &TestCase| (case.class.clone(), case.name.clone());
    let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (_, case) in &cases {
        *times.entry(id(case)).or_default() += 1;
    }
    let named = cases.into_iter().map(|(code, mut case)| {
        if times[&id(&case)] > 1 {
            case.name = format!("{} ({code})", case.name);
        }
        case
    });
    named.collect()
}

fn name_of(action: &Action) -> String {
    match (action.for_entry(), action.outgoing().first()) {
        (Some(wanted), _) => {
            SetUpId { key: wanted.key.clone(), account: action.account_name().cloned() }.to_string()
        }
        (None, Some(old)) => match key_of(action) {
            Some(key) => format!("{key} ({})", old.id),
            None => old.id.to_string(),
        },
        (None, None) => action.summary(),
    }
}

fn of_step(target: &TargetReport<'_>, step: &Step) -> CaseResult {
    let outcome = outcome_of(target.outcomes, step.id);
    let mut lines: Vec<String> =
        step.reasons.iter().map(|reason| words::reason(*reason).to_owned()).collect();
    if let Some(outcome) = outcome {
        match words::undone(&outcome.outcome) {
            None => return CaseResult::Passed,
            Some(undone) if !target.plan.is_ok_and(|plan| outcome.is_failure(plan)) => {
                return CaseResult::Skipped(undone.to_string());
            }
            Some(undone) => lines.push(undone.to_string()),
        }
    }
    if let Some(wanted) = step.action.for_entry()
        && let Some(written) = target.entries.get(&wanted.key)
    {
        lines.push(format!("at {}", written.entry));
    }
    let headline = step.action.summary();
    CaseResult::Failed(step.action.code().as_str(), headline, lines.join("\n"))
}

fn of_withheld(withheld: &Withheld) -> CaseResult {
    let (why, help) = (withheld.why.to_string(), withheld.why.help());
    let headline = format!("not done: {}", withheld.action.summary());
    if withheld.is_error() {
        CaseResult::Failed(withheld.why.code().as_str(), headline, format!("{why}\n{help}"))
    } else {
        CaseResult::Skipped(why)
    }
}

fn suite(xml: &mut Xml, name: &str, cases: &[TestCase]) -> io::Result<()> {
    let count = |is_meant: fn(&CaseResult) -> bool| {
        cases.iter().filter(|case| is_meant(&case.result)).count().to_string()
    };
    let failures = count(|result| matches!(result, CaseResult::Failed(..)));
    let errors = count(|result| matches!(result, CaseResult::Broken(_)));
    let skipped = count(|result| matches!(result, CaseResult::Skipped(_)));
    xml.create_element("testsuite")
        .with_attributes([
            ("name", name.visible().as_ref()),
            ("tests", &cases.len().to_string()),
            ("failures", &failures),
            ("errors", &errors),
            ("skipped", &skipped),
        ])
        .write_inner_content(|xml| cases.iter().try_for_each(|one| case(xml, one)))?;
    Ok(())
}

fn case(xml: &mut Xml, case: &TestCase) -> io::Result<()> {
    let element = xml.create_element("testcase").with_attributes([
        ("classname", case.class.visible().as_ref()),
        ("name", case.name.visible().as_ref()),
    ]);
    match &case.result {
        CaseResult::Passed => element.write_empty(),
        CaseResult::Failed(kind, message, text) => element.write_inner_content(|xml| {
            xml.create_element("failure")
                .with_attributes([("type", *kind), ("message", &message.visible())])
                .write_text_content(BytesText::new(&visible_lines(text)))?;
            Ok(())
        }),
        CaseResult::Broken(message) => element.write_inner_content(|xml| {
            xml.create_element("error")
                .with_attributes([("type", "target"), ("message", &message.visible())])
                .write_empty()?;
            Ok(())
        }),
        CaseResult::Skipped(message) => element.write_inner_content(|xml| {
            xml.create_element("skipped")
                .with_attribute(("message", message.visible().as_ref()))
                .write_empty()?;
            Ok(())
        }),
    }?;
    Ok(())
}
