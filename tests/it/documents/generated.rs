//! The pages that are made of the program: fields, what programs read, and integrations.

use std::fmt::Write;
use std::fs;

use appcred::codes::{
    ActionCode, CauseCode, ChangeCode, CheckCode, ClientCode, CredentialCode, DueCode, EntryCode,
    EventCode, HealthCode, LinkCode, ModeCode, OutcomeCode, ProblemCode, ReasonCode,
    RegistrationCode, SetupCode, TakesCode, TargetCode, UnknownCode, VerdictCode, WithheldCode,
};
use appcred::integrations::{Facts, facts, known, limits, read_of};
use appcred::manifest::schema;
use appcred::report::explained::{explain, fields};
use appcred::schema::of_output;
use schemars::Schema;
use serde_json::Value;

use crate::monitoring::with_all_metrics;
use crate::real::visit;
use crate::serving::Served;
use crate::shell::Appcred;

use super::root;

/// Compares a page, or writes it where the test is asked to.
#[track_caller]
fn page(name: &str, text: &str) {
    let file = root().join("docs").join(name);
    #[expect(clippy::disallowed_methods, reason = "how a test is told to rewrite what it compares")]
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, text).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == text, "docs/{name} is stale: UPDATE_EXPECT=1 cargo test generated");
}

/// In a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_page_of_fields_is_what_the_program_explains() {
    let (manifest, project): (Value, Value) = (schema::manifest().into(), schema::project().into());
    let mut text = "# Fields\n\n\
        What `appcred explain FIELD` says of each, made of the types that read them. An editor has it too, by the schema in\n\
        the first line of each file.\n"
        .to_owned();
    let mut all = fields(&manifest, &project);
    // Those of an entry come first, as people meet them.
    all.sort_by_key(|field| !field.starts_with("entry"));
    assert!(all.len() > 40, "{all:?}");
    for (title, is_of_entry) in [("An entry", true), ("The project file", false)] {
        write!(text, "\n## {title}\n").unwrap();
        for field in all.iter().filter(|field| field.starts_with("entry.") == is_of_entry) {
            let said = explain(Some(field), &manifest, &project).unwrap();
            write!(text, "\n### {field}\n\n```text\n{}\n```\n", said.trim_end()).unwrap();
        }
    }
    page("fields.md", &text);
}

/// The codes of a table with what they mean, as the schemas of reports have them.
fn codes(schema: &Value) -> String {
    let mut text = "| code | |\n| --- | --- |\n".to_owned();
    for one in schema["oneOf"].as_array().unwrap() {
        let (code, about) = (one["const"].as_str().unwrap(), one["description"].as_str().unwrap());
        writeln!(text, "| `{code}` | {} |", cell(about)).unwrap();
    }
    text
}

/// What a table of codes is called, where its codes are found, and their schema.
type Codes = (&'static str, &'static str, fn() -> Schema);

/// The codes of all reports.
const TABLES: &[Codes] = &[
    ("Events", "What `watch` notifies of, as `event` of a notice", of_output::<EventCode>),
    ("Problems", "What `validate`, `plan` and `doctor` find, as `code`", of_output::<ProblemCode>),
    (
        "Actions",
        "What a step does, as `action` in reports of `plan` and `apply`, in saved plans and in the status, and as a label of `appcred_actions_total`",
        of_output::<ActionCode>,
    ),
    ("Reasons", "Why it is done, as `reasons` beside it", of_output::<ReasonCode>),
    (
        "Outcomes",
        "How it ended, as `outcome` in reports of `apply`, as `result` in the status, and as a label of `appcred_actions_total`",
        of_output::<OutcomeCode>,
    ),
    ("Withheld", "Why something is not done, as `why`", of_output::<WithheldCode>),
    ("Unknown", "What is not known of an entry, as `what`", of_output::<UnknownCode>),
    (
        "Credentials",
        "How a credential of a target compares with the manifests, as `state` in reports of `list`",
        of_output::<CredentialCode>,
    ),
    (
        "Entries",
        "How a target holds the credential of an entry, as `credential` in the status, and as a label of `appcred_entries`",
        of_output::<EntryCode>,
    ),
    ("Dates", "What is due of a client, as `due` in the status", of_output::<DueCode>),
    (
        "Set-ups",
        "How far an integration is set up, as `state` of `integrations`, `set_up` and `accounts`",
        of_output::<SetupCode>,
    ),
    (
        "Causes",
        "Why an account does not run, as `cause` beside it, and as a label of `appcred_accounts_down`",
        of_output::<CauseCode>,
    ),
    (
        "Fields of forms",
        "What a field takes that Home Assistant asks for, as `takes`",
        of_output::<TakesCode>,
    ),
    ("Targets", "The state of a target, as `state` in the status", of_output::<TargetCode>),
    (
        "Connections",
        "Whether a target can be reached, as `link` in the status",
        of_output::<LinkCode>,
    ),
    ("Modes", "What is done about differences, as `mode` in the status", of_output::<ModeCode>),
    (
        "Clients",
        "What a provider says of a client that `watch --verify-every` asks about, as `verdict` in the status",
        of_output::<ClientCode>,
    ),
    (
        "Verdicts",
        "What a provider says of a client, as `verdict` in reports of `verify`",
        of_output::<VerdictCode>,
    ),
    (
        "Registrations",
        "Whether it knows the redirect URI, as `verdict` of `registration` there",
        of_output::<RegistrationCode>,
    ),
    ("Checks", "What `doctor` looks at, as `check`", of_output::<CheckCode>),
    ("Results of checks", "What came of it, as `result`", of_output::<HealthCode>),
    (
        "Changes",
        "What a verb has changed, as `change` in reports of `add`, `rotate` and all others that change something",
        of_output::<ChangeCode>,
    ),
];

/// The metrics of a watcher that has something of everything.
fn metrics() -> String {
    let served = Served::start(with_all_metrics());
    let answer = visit(&served.url("/metrics")).text;
    served.end();
    let mut text = "| metric | kind | labels | |\n| --- | --- | --- | --- |\n".to_owned();
    let mut count = 0;
    for line in answer.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let kind = format!("# TYPE {name} ");
        let kind = answer.lines().find_map(|line| line.strip_prefix(&kind)).unwrap();
        let sample = answer.lines().find(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']))
        });
        let labels = sample.and_then(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
        let labels = labels
            .unwrap_or_default()
            .split("\",")
            .filter_map(|label| Some(label.split_once('=')?.0).filter(|label| *label != "le"));
        let labels: Vec<_> = labels.map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {kind} | {} | {} |", labels.join(", "), cell(help));
        writeln!(text, "{row}").unwrap();
        count += 1;
    }
    assert!(count > 15, "{text}");
    text
}

#[test]
fn the_page_of_what_programs_read_is_of_the_program() {
    let help = Appcred::new().args(["--help"]).run().stdout;
    let (_, statuses) = help.split_once("Exit status:\n").unwrap();
    let statuses = statuses.split("\n\n").next().unwrap().trim_end();
    let table = |(title, about, schema): &(&str, &str, fn() -> Schema)| {
        format!("## {title}\n\n{about}:\n\n{}\n", codes(&schema().into()))
    };
    let tables: String = TABLES.iter().map(table).collect();
    let text = format!(
        "# What programs read\n\n\
        Exit statuses, codes and metrics, made of the program's own tables. They change only with a major version\n\
        ([support](support.md)). `appcred schema` prints the JSON Schemas of all reports.\n\n\
        ## Exit statuses\n\n```text\n{statuses}\n```\n\n\
        {}\
        ## Metrics\n\nAt `/metrics` of `watch`. A metric without a value is left out. The label `result` of\n\
        `appcred_reconciles_total` is `success` or `failure`, `owner` of `appcred_unmanaged_credentials` is `none` or `other`,\n\
        and `severity` is `error` or `warning`; values of other labels are the codes above, or names.\n\n{}",
        tables,
        metrics(),
    );
    page("programs.md", &text);
}

/// What surprises about an integration.
fn traps(facts: &Facts) -> Vec<String> {
    let mut traps = Vec::new();
    let mut trap = |applies: bool, text: &str| {
        if applies {
            traps.push(text.to_owned());
        }
    };
    trap(facts.one_account, "one account only");
    trap(facts.ignores_client, "uses a client of its own, whatever the credential says");
    trap(facts.brings_client, "makes a credential of a client of its own");
    trap(facts.implementation.is_some(), "of several credentials, only the last one is used");
    trap(facts.needs_cloud, "its set-up needs the integration `cloud`");
    trap(facts.secret_in_authorize_url, "the consent link has the client secret in it");
    for (asked, when) in
        [(&facts.asks_before_consent, "before"), (&facts.asks_after_consent, "after")]
    {
        let steps: Vec<_> = asked.iter().map(|step| format!("`{step}`")).collect();
        trap(!steps.is_empty(), &format!("may ask {when} consent: {}", steps.join(", ")));
    }
    traps
}

#[test]
fn the_page_of_integrations_is_what_the_program_knows() {
    let (oldest, newest) = read_of().unwrap();
    let mut text = format!(
        "# Integrations\n\n\
        Those of Home Assistant {newest} that take application credentials, read from Home Assistant itself (and from\n\
        {oldest}, where an integration has gone since), with what providers allow as far as that is public. Others, as from\n\
        HACS, are named under `custom_integrations` in appcred.yaml.\n\n\
        The redirect URI to register is the same for all: `https://my.home-assistant.io/redirect/oauth` while Home Assistant\n\
        has its `my` integration, as by default; else [its own address](linking.md#the-redirect-uri). `add` and `plan` say which.\n\n\
        An integration without a console says on its page where a client is registered. What is asked before or after consent\n\
        can be answered by [`answers`](entries.md).\n"
    );
    for domain in known() {
        let Some(facts) = facts(domain, Some(newest)).or_else(|| facts(domain, Some(oldest)))
        else {
            continue;
        };
        let url = format!("https://www.home-assistant.io/integrations/{domain}/");
        write!(text, "\n## {}\n\n`{domain}` · [documentation]({url})", cell(&facts.name)).unwrap();
        if let Some(console) = &facts.console_url {
            write!(text, " · [console]({console})").unwrap();
        }
        text.push('\n');
        let traps = traps(facts).into_iter().chain(limits(domain).map(|limit| limit.text.clone()));
        let traps: String = traps.map(|trap| format!("- {trap}\n")).collect();
        if !traps.is_empty() {
            write!(text, "\n{traps}").unwrap();
        }
    }
    page("integrations.md", &text);
}
