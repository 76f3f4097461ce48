//! Every console block of README and docs runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use snapbox::IntoData;

use crate::real::{CONFIGURATION, HomeAssistant, Release};

use super::session::Session;
use super::{Part, documents, of_examples, parts, root};

/// Commands that do not run in a session: document, how the command begins, and why.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("README.md", "git clone ", NETWORK),
    ("README.md", "cargo run ", "published.rs runs it"),
    ("README.md", "tests/run", "it runs this test"),
    ("README.md", "cargo install ", NETWORK),
    ("README.md", "appcred login", "a person signs in in a browser; ha_login.rs does that"),
    ("README.md", "appcred authorize", "a person consents in a browser; ha_authorize.rs does that"),
    ("docs/ci.md", "VERSION=", "it is for a release; examples.rs runs it with one of its own"),
    ("docs/git.md", "appcred watch --git ", GIT),
    ("docs/git.md", "appcred plan --git ", GIT),
    ("docs/install.md", "packaging/", PACKAGING),
    ("docs/install.md", "cargo install ", NETWORK),
    ("docs/install.md", "sha256sum ", PACKAGING),
    ("docs/install.md", "tar ", PACKAGING),
    ("docs/install.md", "sudo ", PACKAGING),
    ("docs/install.md", "journalctl ", PACKAGING),
    (
        "docs/install.md",
        "docker ",
        "a test has no container engine; packaging/try starts the image",
    ),
    ("docs/install.md", "cosign ", "it is for a published release"),
    ("docs/install.md", "git -C ", "it is for Homebrew"),
    ("docs/install.md", "brew ", "no machine of ours has Homebrew"),
    (
        "docs/kubernetes.md",
        "kubectl ",
        "kubernetes/mod.rs gives the same to a real API server, and the page's YAML too",
    ),
    ("docs/kubernetes.md", "appcred export ", EXPORTED),
    ("docs/kubernetes.md", "appcred import ", EXPORTED),
    (
        "docs/kubernetes.md",
        "helm ",
        "kubernetes/mod.rs renders the chart with Helm and gives it to a real API server",
    ),
];

const EXPORTED: &str = "kubernetes/exported.rs does it with a real API server";
const NETWORK: &str = "it takes the repository from the network";
const GIT: &str = "git_source.rs does it with servers on loopback";
const PACKAGING: &str = "packaging/try does it, as root and for half an hour";

/// Documents that need a running Home Assistant.
const WITH_HOME_ASSISTANT: &[&str] = &["docs/first-house.md", "README.md"];

/// The commands of a block: a line, with those that continue it.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        match commands.last_mut() {
            Some(command) if goes_on => *command = format!("{command}\n{line}"),
            _ => commands.push(line.to_owned()),
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

/// What runs here of a block, and what is in the list of what does not.
fn runs_here(document: &str, block: &str) -> (String, Vec<usize>) {
    let row = |command: &str| {
        ELSEWHERE.iter().position(|(of, begin, _)| *of == document && command.starts_with(begin))
    };
    let (elsewhere, here): (Vec<_>, Vec<_>) =
        commands(block).into_iter().partition(|command| row(command).is_some());
    (here.join("\n"), elsewhere.iter().filter_map(|command| row(command)).collect())
}

/// What comments say of the next block.
#[derive(Default)]
struct Next {
    status: i32,
    typed: Option<String>,
    writes: Option<String>,
    shows: Option<String>,
}

impl Next {
    #[track_caller]
    fn read(&mut self, place: &str, comment: &str) {
        let (word, rest) = comment.split_once(char::is_whitespace).unwrap_or((comment, ""));
        match word {
            "exits" => self.status = rest.parse().unwrap(),
            "typed" => self.typed = Some(rest.to_owned()),
            "writes" => self.writes = Some(rest.to_owned()),
            "shows" => self.shows = Some(rest.to_owned()),
            "is" => {}
            _ => panic!("{place}: no test knows `{word}`"),
        }
    }
}

/// How what is printed differs from what the document shows.
fn difference(place: &str, printed: &str, shown: &str) -> Option<String> {
    // It stands for lines, wherever it stands.
    let shown: String = shown
        .lines()
        .map(|line| if line.trim() == "..." { "...\n".to_owned() } else { format!("{line}\n") })
        .collect();
    let compared = snapbox::Assert::new().action_env("").try_eq(
        Some(&place),
        printed.into_data(),
        shown.into_data(),
    );
    compared.err().map(|why| format!("{place}: this is not what is printed:\n{why}"))
}

/// A block, what is printed in its place, and how that differs.
type Difference = (Part, String, String);

/// Writes what is printed into a document.
fn rewrite(document: &Path, differences: Vec<Difference>) {
    let file = root().join(document);
    let text = fs::read_to_string(&file).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (part, printed, _) in differences.into_iter().rev() {
        let fence = &lines[part.line - 1];
        let indentation = fence[..fence.len() - fence.trim_start().len()].to_owned();
        let printed =
            printed.lines().map(|line| format!("{indentation}{line}").trim_end().to_owned());
        let end = part.line + part.text.lines().count();
        lines.splice(part.line..end, printed);
    }
    fs::write(file, lines.join("\n") + "\n").unwrap();
}

/// Runs all blocks of a document, and says what is not as the document has it.
fn run(document: &Path, session: &Session) -> Vec<String> {
    let name = document.to_str().unwrap();
    let mut next = Next::default();
    let mut printed: Option<String> = None;
    let mut faults = Vec::new();
    let mut differences: Vec<Difference> = Vec::new();
    for part in parts(document) {
        let Part { line, language, text } = &part;
        let place = format!("{name}:{line}");
        if language == "test" && !text.starts_with("run") {
            next.read(&place, text);
            continue;
        }
        let mut compare = |printed: String| {
            let difference = difference(&place, &printed, text);
            differences.extend(difference.map(|why| (part.clone(), printed, why)));
        };
        let script = match language.as_str() {
            "test" => text.strip_prefix("run").unwrap_or_default().to_owned(),
            "console" => runs_here(name, text).0,
            _ => String::new(),
        };
        if !script.trim().is_empty() {
            let ran = session.run(&script, next.typed.as_deref());
            if ran.status != Some(next.status) {
                faults.push(format!("{place} ends with {:?}:\n{script}\n{}", ran.status, ran.text));
                // What follows rests on it.
                break;
            }
            printed = Some(ran.text).filter(|_| language == "console");
        } else if let Some(path) = &next.writes {
            session.write(path, text);
        } else if let Some(path) = &next.shows {
            compare(session.read(path));
        } else if let Some(printed) = printed.take().filter(|_| language == "text") {
            compare(printed);
        }
        next = Next::default();
    }
    #[expect(clippy::disallowed_methods, reason = "how a test is told to rewrite what it compares")]
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        rewrite(document, differences);
    } else {
        faults.extend(differences.into_iter().map(|(.., why)| why));
    }
    faults
}

#[track_caller]
fn reject(faults: &[String]) {
    assert!(faults.is_empty(), "{}\nUPDATE_EXPECT=1 writes what is printed", faults.join("\n"));
}

#[test]
fn blocks_of_documents_run() {
    let all = documents().into_iter().chain(of_examples());
    let offline = all.filter(|page| !WITH_HOME_ASSISTANT.contains(&page.to_str().unwrap()));
    let faults: Vec<_> = offline.flat_map(|page| run(&page, &Session::new(None))).collect();
    reject(&faults);
}

mod blocks_of_documents_run_beside_home_assistant {
    use serde_json::json;

    use super::{
        CONFIGURATION, HomeAssistant, Path, Release, Session, WITH_HOME_ASSISTANT, reject, run,
    };

    /// What they show is what the newest release does.
    #[test]
    fn ha_2026_11() {
        // As by default.
        let folder = tempfile::tempdir().unwrap();
        let configuration = format!("{CONFIGURATION}my:\n");
        std::fs::write(folder.path().join("configuration.yaml"), configuration).unwrap();
        let ha = HomeAssistant::start_in(Release::Ha2026_11, folder.path());
        let mut faults = Vec::new();
        for document in WITH_HOME_ASSISTANT {
            for credential in ha.credentials() {
                let delete = json!({"type": "application_credentials/delete", "application_credentials_id": credential["id"]});
                ha.call(delete).unwrap();
            }
            faults.extend(run(Path::new(document), &Session::new(Some(&ha))));
        }
        reject(&faults);
    }
}

#[test]
fn what_runs_elsewhere_is_in_a_document() {
    let mut used = BTreeSet::new();
    for document in documents().into_iter().chain(of_examples()) {
        for part in parts(&document).iter().filter(|part| part.language == "console") {
            used.extend(runs_here(document.to_str().unwrap(), &part.text).1);
        }
    }
    let stale: Vec<_> =
        (0..ELSEWHERE.len()).filter(|row| !used.contains(row)).map(|row| ELSEWHERE[row]).collect();
    assert!(stale.is_empty(), "no document has {stale:?}");
}

/// A block of another language would be run by nothing.
#[test]
fn commands_are_in_blocks_of_console() {
    for document in documents().into_iter().chain(of_examples()) {
        for Part { line, language, .. } in parts(&document) {
            let known = ["console", "text", "yaml", "ini", "test"].contains(&language.as_str());
            assert!(known, "{}:{line}: no test reads `{language}`", document.display());
        }
    }
}

#[test]
fn a_block_is_taken_apart_into_commands() {
    assert_eq!(commands("a \\\n  b\nc\n"), ["a \\\n  b", "c"]);
}
