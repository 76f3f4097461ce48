//! Reports for CI systems: each by the form that its reader publishes, and on the right lines.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rustix::process::Signal;
use serde_json::Value;

use crate::forms::{
    Annotation, annotations, check_code_quality, check_json, check_junit, check_own, html,
};
use crate::real::copy_folder;
use crate::shell::{Appcred, Project};
use crate::watch::eventually;

const PROJECT: &str = "owner: house\nallow_plaintext: true\ntargets: {home: {config_dir: ha}}\n";
const FORMATS: &[&str] = &["text", "json", "markdown", "github", "gitlab", "junit", "sarif"];

fn project(manifest: &str) -> Project {
    Project::new().file("appcred.yaml", PROJECT).file("credentials.yaml", manifest)
}

/// Runs a verb with every format going to a file.
fn written(project: &Path, verb: &[&str], status: i32) -> PathBuf {
    let formats =
        FORMATS.iter().flat_map(|name| ["--format".to_owned(), format!("{name}=out.{name}")]);
    Appcred::new().in_dir(project).args(verb).args(formats).status(status).run();
    project.to_owned()
}

fn read(folder: &Path, format: &str) -> String {
    fs::read_to_string(folder.join(format!("out.{format}"))).unwrap()
}

fn value(folder: &Path, format: &str) -> Value {
    serde_json::from_str(&read(folder, format)).unwrap()
}

/// Checks all reports of a run by their forms.
fn check(folder: &Path, own_schema: &str) {
    check_own(own_schema, &value(folder, "json"));
    check_json("sarif-2.1.0.json", &value(folder, "sarif"));
    check_code_quality(&value(folder, "gitlab"));
    annotations(&read(folder, "github"));
    assert!(!read(folder, "text").contains('\u{1b}'));
    html(&read(folder, "markdown"));
}

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(kind);
    let mut cases: Vec<_> =
        fs::read_dir(folder).unwrap().map(|case| case.unwrap().path()).collect();
    cases.retain(|case| case.is_dir());
    cases.sort();
    assert!(cases.len() > 10, "the cases were not found");
    cases
}

#[test]
fn reports_of_every_plan_have_their_form() {
    let mut projects = Vec::new();
    for case in cases("plan") {
        let project = Project::new().file("appcred.yaml", PROJECT);
        copy_folder(&case, project.path());
        let arguments = fs::read_to_string(case.join("arguments")).unwrap_or_default();
        let mut verb = vec!["plan"];
        verb.extend(arguments.split_whitespace());
        check(&written(project.path(), &verb, 0), "plan.schema.json");
        projects.push(project);
    }
    let junit: Vec<_> = projects.iter().map(|project| project.join("out.junit")).collect();
    check_junit(&junit);
}

#[test]
fn reports_of_every_problem_have_their_form_and_no_secret() {
    let mut projects = Vec::new();
    for case in cases("problems") {
        let project = Project::new();
        copy_folder(&case, project.path());
        written(project.path(), &["validate", "--strict"], 1);
        check(project.path(), "validate.schema.json");
        for format in FORMATS {
            let text = read(project.path(), format);
            for marked in ["hunter2", "MÄRKED"] {
                assert!(!text.contains(marked), "{}: {format}:\n{text}", case.display());
            }
        }
        projects.push(project);
    }
    let junit: Vec<_> = projects.iter().map(|project| project.join("out.junit")).collect();
    check_junit(&junit);
}

/// What annotations say, as `level file:line title`.
fn told(annotations: &[Annotation]) -> Vec<String> {
    let of = |annotation: &Annotation, name: &str| {
        annotation.properties.get(name).cloned().unwrap_or_default()
    };
    annotations
        .iter()
        .map(|one| {
            format!("{} {}:{} {}", one.command, of(one, "file"), of(one, "line"), of(one, "title"))
        })
        .collect()
}

#[test]
fn annotations_stand_on_the_line_of_the_field_that_changed() {
    let entry = |name: &str, id: &str, secret: &str| {
        format!(
            "  - domain: spotify\n    key: k{id}\n    name: {name}\n    client_id: c{id}\n    client_secret: {secret}\n"
        )
    };
    let head = "application_credentials:\n";
    let project = project(&format!(
        "{head}{}{}{}",
        entry("a", "1", "s1"),
        entry("b", "2", "s2"),
        entry("c", "3", "s3")
    ));
    Appcred::new().in_dir(project.path()).args(["apply", "--yes"]).run();
    let changed = format!(
        "{head}{}{}{}",
        entry("A", "1", "s1"),
        entry("b", "2", "S2"),
        entry("d", "4", "s4")
    );
    project.write("credentials.yaml", &changed);
    let github = Appcred::new()
        .in_dir(project.path())
        .env("GITHUB_WORKSPACE", project.path().parent().unwrap())
        .args(["plan", "--format", "github"])
        .run()
        .stdout;
    let folder = project.path().file_name().unwrap().to_string_lossy().into_owned();
    let expected = [
        "warning : appcred: delete".to_owned(),
        format!("notice {folder}/credentials.yaml:4 appcred: replace"),
        format!("notice {folder}/credentials.yaml:11 appcred: replace"),
        format!("notice {folder}/credentials.yaml:12 appcred: create"),
    ];
    assert_eq!(told(&annotations(&github)), expected);
}

#[test]
fn names_that_look_like_markup_stay_names() {
    let hostile = "::error::x | `b` \\\\| <script>alert(1)</script> --> @all [x](y) **z** %0A,:";
    let project = project(&format!(
        "application_credentials:\n  - domain: spotify\n    key: k\n    name: \"{hostile}\"\n    client_id: i\n    client_secret: s\n"
    ));
    let folder = written(project.path(), &["plan"], 0);
    check(&folder, "plan.schema.json");
    check_junit(&[folder.join("out.junit")]);
    let github = annotations(&read(&folder, "github"));
    assert_eq!(github.len(), 1);
    assert!(github[0].message.contains("\"::error::x"), "{:?}", github[0].message);
    assert!(github[0].message.contains("%0A,:"), "{:?}", github[0].message);
    let text = read(&folder, "text");
    assert!(!text.contains("\n::error"), "{text}");
    let page = html(&read(&folder, "markdown"));
    assert!(
        !page.contains("<script") && !page.contains("<a ") && !page.contains("<strong>z"),
        "{page}"
    );
    let (head, rest) = page.split_once("<tbody>").unwrap();
    assert!(head.contains("<!-- appcred:plan:"), "{head}");
    let row = rest.split("</tbody>").next().unwrap();
    assert_eq!(row.matches("<td>").count(), 5, "{row}");
    assert!(row.contains("::error::x | `b` \\| &lt;script&gt;"), "{row}");
}

#[test]
fn a_thousand_houses_fit_into_one_comment_with_the_exceptions_first() {
    let house = |number: usize| {
        format!(
            "  house-{number}: {{config_dir: house-{number}, labels: {{ring: \"{}\"}}}}\n",
            number % 3
        )
    };
    let houses: String = (0..1000).map(house).collect();
    let project = project(
        "application_credentials:
  - {domain: spotify, client_id: a, client_secret: s}
  - {domain: twitch, client_id: b, client_secret: s, targets: {match: {ring: \"0\"}}}
  - {domain: netatmo, client_id: c, client_secret: s, targets: [house-12?]}
",
    );
    project.write("appcred.yaml", &format!("allow_plaintext: true\ntargets:\n{houses}"));
    project.write("house-7", "no folder");
    let markdown = read(&written(project.path(), &["plan"], 1), "markdown");
    let headings = markdown.lines().filter(|line| line.starts_with("**"));
    let headings: Vec<&str> = headings.map(|line| line.split([':', '(']).next().unwrap()).collect();
    assert_eq!(
        headings,
        ["**`house-7`", "**4 targets ", "**6 targets ", "**330 targets ", "**659 targets "]
    );
    assert!(markdown.contains("**`house-7`: not known.**"), "{markdown}");
    assert!(markdown.contains("Total of 1000 targets: 1343 to create"), "{markdown}");
    assert!(markdown.contains("house-120, house-123, house-126, house-129"), "{markdown}");
    assert!(markdown.chars().count() < 10_000, "{}", markdown.chars().count());
}

#[test]
fn large_plans_keep_within_the_limits_of_their_readers() {
    let entry = |number: usize| {
        format!(
            "  - {{domain: spotify, name: Number {number}, client_id: i{number}, client_secret: s}}\n"
        )
    };
    let entries: String = (0..3000).map(entry).collect();
    let project = project(&format!("application_credentials:\n{entries}"));
    let folder = written(project.path(), &["plan"], 0);
    let markdown = read(&folder, "markdown");
    assert!(markdown.chars().count() < 65_536, "{}", markdown.chars().count());
    assert!(markdown.contains("**`home`: 3000 to create**"), "{}", &markdown[..300]);
    let shown = html(&markdown).matches("<td><code>spotify</code></td>").count();
    assert!(shown > 50, "{shown}");
    assert!(markdown.contains(&format!("\nand {} more\n", 3000 - shown)), "{shown}");
    let annotations = annotations(&read(&folder, "github"));
    assert_eq!(annotations.len(), 10);
    assert_eq!(annotations[9].message, "and 2991 more: see the job's summary");
    assert_eq!(value(&folder, "gitlab").as_array().unwrap().len(), 3000);
}

#[test]
fn a_report_is_printed_and_written_as_asked() {
    let project = project(
        "application_credentials:\n  - {domain: spotify, name: a, client_id: i, client_secret: s}\n",
    );
    let run = |arguments: &[&str]| {
        Appcred::new().in_dir(project.path()).args(["plan"]).args(arguments).run().stdout
    };
    let text = run(&[]);
    assert!(text.contains("+ create spotify \"a\""), "{text}");
    assert_eq!(run(&["--format", "markdown=plan.md"]), text, "text where all go to files");
    assert_eq!(run(&["--format", "github", "--format", "markdown=plan.md"]).lines().count(), 1);
    run(&["--format", "text", "--format", "github"]);
    // What is printed is one document.
    for (verb, first, second) in
        [("plan", "json", "yaml"), ("validate", "text", "sarif"), ("apply", "github", "junit")]
    {
        let appcred = Appcred::new().in_dir(project.path()).args([verb, "--format", first]);
        let ran = appcred.args(["--format", second]).status(1).run();
        assert!(ran.stderr.contains("only one format can be printed"), "{}", ran.stderr);
        assert_eq!(ran.stdout.is_empty(), first != "json", "{}", ran.stdout);
    }
    let markdown = fs::read_to_string(project.join("plan.md")).unwrap();
    assert!(markdown.starts_with("<!-- appcred:plan:. -->\n"), "{markdown}");

    let summary = project.join("summary.md");
    fs::write(&summary, "before\n").unwrap();
    Appcred::new()
        .in_dir(project.path())
        .env("GITHUB_STEP_SUMMARY", &summary)
        .args(["apply", "--yes"])
        .run();
    let summary = fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("before\n<!-- appcred:apply:. -->\n"), "{summary}");
    assert!(summary.contains("**`home`: applied**"), "{summary}");

    let wrong = Appcred::new().in_dir(project.path()).args(["plan", "--format", "html"]).status(1);
    assert!(
        wrong
            .run()
            .stderr
            .contains("it is one of text, json, yaml, markdown, github, gitlab, junit, sarif")
    );
    let nowhere = Appcred::new().in_dir(project.path()).args(["plan", "--format", "json=no/x"]);
    assert!(nowhere.status(1).run().stderr.contains("cannot write no/x"));
}

#[test]
fn a_broken_manifest_is_told_in_every_report_of_a_plan() {
    let project = project("application_credentials:\n  - domain: spotify\n    client_id: 1\n");
    let folder = written(project.path(), &["plan"], 1);
    check(&folder, "plan.schema.json");
    check_junit(&[folder.join("out.junit")]);
    let annotations = annotations(&read(&folder, "github"));
    let expected = [
        "error credentials.yaml:2 appcred: missing-field",
        "error credentials.yaml:3 appcred: wrong-kind",
    ];
    assert_eq!(told(&annotations), expected);
    let markdown = read(&folder, "markdown");
    assert!(
        markdown.contains("**The manifests are in error.** Nothing was planned."),
        "{markdown}"
    );
    assert_eq!(value(&folder, "json")["problems"].as_array().unwrap().len(), 2);
}

#[test]
fn policies_for_ci_end_with_an_error() {
    let held = r#"{"version": 1, "data": {"items": [
        {"id": "spotify_x", "domain": "spotify", "client_id": "x", "client_secret": "s", "name": "x"},
        {"id": "spotify_a", "domain": "spotify", "client_id": "a", "client_secret": "s", "name": "a", "auth_domain": "appcred:house:a"},
        {"id": "spotify_b", "domain": "spotify", "client_id": "b", "client_secret": "s", "name": "b", "auth_domain": "appcred:house:b"}]}}"#;
    let project = project(
        "application_credentials:\n  - {domain: spotify, name: a, client_id: a, client_secret: other}\n",
    )
    .file("ha/.storage/application_credentials", held);
    let plan = |kinds: &str, status: i32| {
        let plan = Appcred::new().in_dir(project.path()).status(status);
        plan.args(["plan", "--detailed-exitcode", "--fail-on", kinds]).run().stderr
    };
    let one = "error: home: --fail-on delete: 1 credential to delete\n";
    assert_eq!(plan("delete", 1), one);
    // Neither does what keeps it for now let it pass.
    let before = fs::read_to_string(project.join("appcred.yaml")).unwrap();
    project.write("appcred.yaml", &format!("{before}policy: {{max_deletes: 0}}\n"));
    let held_back = "--fail-on delete: 1 credential to delete once nothing holds that back\n";
    assert!(plan("delete", 1).contains(held_back));
    project.write("appcred.yaml", &before);
    assert_eq!(
        plan("foreign", 1),
        "error: home: --fail-on foreign: 1 credential that no repository manages\n"
    );
    assert_eq!(
        plan("differs", 1),
        "error: home: --fail-on differs: 1 credential that is not as its entry wants it\n"
    );
    assert_eq!(plan("delete,foreign,differs", 1).lines().count(), 3);
    project.write("credentials.yaml", "application_credentials:\n  - {domain: spotify, name: a, client_id: a, client_secret: s}\n  - {domain: spotify, name: b, client_id: b, client_secret: s}\n  - {domain: spotify, name: c, client_id: c, client_secret: s}\n");
    assert_eq!(plan("delete,differs", 2), "");

    project.write("appcred.yaml", &format!("{PROJECT}manifests: [credentials.yaml, empty]\n"));
    fs::create_dir(project.join("empty")).unwrap();
    let validate = || Appcred::new().in_dir(project.path()).args(["validate"]);
    assert!(validate().run().stderr.starts_with("warning"));
    assert!(validate().args(["--strict"]).status(1).run().stderr.starts_with("error"));
}

#[test]
fn dates_of_clients_are_reported_and_may_end_ci_with_an_error() {
    let entry = |name: &str, more: &str| {
        format!("  - {{domain: spotify, name: {name}, client_id: {name}, client_secret: s}}\n")
            .replace('}', &format!(", {more}}}"))
    };
    let entries = [
        entry("a", "expires: 2001-03-01"),
        entry("b", "rotate_after: \"2001-02-03\", expires: 2999-03-01"),
        entry("c", "expires: 2999-03-01"),
        entry("d", "expires: 2001-03-02, targets: [lab]"),
    ];
    let project = project(&format!("application_credentials:\n{}", entries.concat()))
        .file("appcred.yaml", "owner: house\nallow_plaintext: true\nexpiring_within: 3d\ntargets:\n  home: {config_dir: ha}\n  lab: {config_dir: lab}\n");
    let run = |verb: &[&str], status| {
        Appcred::new().in_dir(project.path()).args(verb).status(status).run().stderr
    };
    let warnings = [
        "warning: `a`: the client expired on 2001-03-01\n --> credentials.yaml:2:73\n",
        "warning: `b`: the secret has been due for rotation since 2001-02-03\n --> credentials.yaml:3:78\n",
        "warning: `d`: the client expired on 2001-03-02\n --> credentials.yaml:5:73\n",
    ];
    for verb in [&["validate"][..], &["plan"], &["list"], &["apply", "--yes"]] {
        let told = run(verb, 0);
        assert!(warnings.iter().all(|warning| told.contains(warning)), "{verb:?}: {told}");
        assert_eq!(told.matches("warning: ").count(), 3, "{verb:?}: {told}");
    }
    assert_eq!(run(&["validate", "--strict"], 1).matches("error: `").count(), 3);
    let refused = run(&["plan", "--target", "home", "--fail-on", "expiring"], 1);
    assert!(
        refused.ends_with("error: home: --fail-on expiring: 2 credentials to renew\n"),
        "{refused}"
    );
    run(&["plan", "--key", "c", "--target", "home", "--fail-on", "expiring"], 0);
    let listed = Appcred::new().in_dir(project.path()).args(["list", "--format", "json"]).run();
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let held = listed["targets"][0]["credentials"].as_array().unwrap();
    let of_b = held.iter().find(|held| held["key"] == "b").unwrap();
    assert_eq!(["expires", "rotate_after"].map(|name| &of_b[name]), ["2999-03-01", "2001-02-03"]);

    let day = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = day.checked_add(Span::new().days(10)).unwrap();
    let entries = entry("c", &format!("expires: {day}"));
    project.write("credentials.yaml", &format!("application_credentials:\n{entries}"));
    run(&["plan", "--fail-on", "expiring"], 0);
    let text = std::fs::read_to_string(project.join("appcred.yaml")).unwrap();
    project.write("appcred.yaml", &text.replace("3d", "30d"));
    let refused = run(&["plan", "--fail-on", "expiring"], 1);
    assert!(refused.contains(&format!("warning: `c`: the client expires on {day}")), "{refused}");
}

#[test]
fn more_accounts_than_a_provider_allows_a_client_are_warned_of() {
    let manifest = "application_credentials:\n  - {domain: spotify, name: a, client_id: a, client_secret: s}\n  - {domain: netatmo, name: b, client_id: b, client_secret: s}\n";
    let held = r#"{"version": 1, "data": {"items": [
        {"id": "spotify_a", "domain": "spotify", "client_id": "a", "client_secret": "s", "name": "a", "auth_domain": "appcred:house:a"},
        {"id": "netatmo_b", "domain": "netatmo", "client_id": "b", "client_secret": "s", "name": "b", "auth_domain": "appcred:house:b"}]}}"#;
    let project = project(manifest).file("ha/.storage/application_credentials", held);
    let told = |titles: &[&str]| {
        let account = |domain: &str, at: usize, title: &str| {
            let mark = if domain == "spotify" { "appcred:house:a" } else { "appcred:house:b" };
            format!(
                r#"{{"entry_id": "{domain}{at}", "domain": "{domain}", "title": "{title}", "data": {{"auth_implementation": "{mark}"}}}}"#
            )
        };
        let accounts = titles
            .iter()
            .enumerate()
            .flat_map(|(at, title)| [account("spotify", at, title), account("netatmo", at, title)]);
        let accounts = accounts.collect::<Vec<_>>().join(", ");
        let stored = format!(r#"{{"version": 1, "data": {{"entries": [{accounts}]}}}}"#);
        project.write("ha/.storage/core.config_entries", &stored);
        let run = |verb: &str| Appcred::new().in_dir(project.path()).args([verb]).run().stderr;
        let (planned, listed) = (run("plan"), run("list"));
        assert_eq!(planned, listed);
        planned
    };
    assert_eq!(told(&["1", "2", "3", "4", "5"]), "");
    assert_eq!(told(&["1", "2", "3", "4", "5", "5"]), "", "one account at two places");
    let warned = told(&["1", "2", "3", "4", "5", "6"]);
    let expected = "warning: 6 accounts of spotify are linked through this client: a client in Development Mode may have 5 users";
    assert!(warned.starts_with(expected), "{warned}");
    assert!(warned.contains("--> credentials.yaml:2:43"), "{warned}");
    assert!(warned.contains("\n1 warning\n"), "{warned}");
    let running = Appcred::new().in_dir(project.path()).args(["watch", "--listen=off"]).spawn();
    let logged = expected.trim_start_matches("warning: ");
    eventually("it is logged", || running.stderr().contains(&format!("`a`: {logged}")));
    running.signal(Signal::TERM);
    running.finish();
}

/// The levels of all that a report in each format has: of annotations, GitLab, SARIF and JUnit.
fn levels(folder: &Path) -> [String; 4] {
    let junit = read(folder, "junit");
    let kind = ["<failure", "<skipped"].into_iter().find(|kind| junit.contains(kind)).unwrap();
    [
        annotations(&read(folder, "github"))[0].command.clone(),
        value(folder, "gitlab")[0]["severity"].as_str().unwrap().to_owned(),
        value(folder, "sarif")["runs"][0]["results"][0]["level"].as_str().unwrap().to_owned(),
        kind.to_owned(),
    ]
}

#[test]
fn what_fails_apply_is_an_error_in_every_report_and_nothing_else_is() {
    let apply = |case: &str, status: i32| {
        let project = Project::new().file("appcred.yaml", PROJECT);
        copy_folder(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plan").join(case),
            project.path(),
        );
        let formats = FORMATS.iter().map(|name| format!("--format={name}=out.{name}"));
        let apply = Appcred::new().in_dir(project.path()).args(["apply", "--yes"]).args(formats);
        let ran = apply.status(status).run();
        (levels(project.path()), ran.stderr)
    };
    let (left_out, said) = apply("foreign-same-client", 1);
    assert_eq!(left_out, ["error", "critical", "error", "<failure"]);
    assert_eq!(
        said,
        "error: 1 step not done, since a person must decide: the plan has the reasons under `not done`\n"
    );
    let (in_use, said) = apply("delete-in-use", 0);
    assert_eq!(in_use, ["warning", "major", "warning", "<skipped"]);
    assert_eq!(said, "");
}
