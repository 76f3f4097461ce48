//! What providers said of clients, as a table and as JSON.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use comfy_table::Table;
use serde::Serialize;

use crate::model::{ClientId, Domain, Key, Place, Visible, to_json};
use crate::verify::{Checked, Verdict};

const FORMAT_VERSION: u32 = 1;
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

const WRONG: &str = "wrong";
const UNREACHABLE: &str = "unreachable";
const UNCLEAR: &str = "unclear";
const NOT_ASKED: &str = "not asked";

#[derive(Serialize)]
struct VerifiedReport<'a> {
    format_version: u32,
    summary: VerifiedTally,
    entries: Vec<VerifiedEntry<'a>>,
}

#[derive(Serialize)]
struct VerifiedEntry<'a> {
    key: &'a Key,
    domain: &'a Domain,
    client_id: &'a ClientId,
    declared_at: &'a Place,
    token_url: Option<&'a str>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct VerifiedTally {
    right: usize,
    wrong: usize,
    unreachable: usize,
    unclear: usize,
    no_address: usize,
}

/// A table of all, what to do about those that are not right, and a summary.
pub fn text(all: &[Checked]) -> String {
    if all.is_empty() {
        return "No entries.\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["KEY", "INTEGRATION", "CLIENT ID", "CLIENT", "WHY"]);
    for one in all {
        table.add_row([
            one.key.to_string(),
            one.question.domain.to_string(),
            one.question.client_id.to_string(),
            word(&one.verdict).to_owned(),
            why(&one.verdict).unwrap_or("-").visible().into_owned(),
        ]);
    }
    let mut out = String::new();
    for line in table.lines() {
        let _ = writeln!(out, "{}", line.trim());
    }
    for kind in [WRONG, UNREACHABLE, UNCLEAR, NOT_ASKED] {
        let such: Vec<_> = all.iter().filter(|one| word(&one.verdict) == kind).collect();
        let Some(help) = such.first().and_then(|one| help(&one.verdict)) else { continue };
        let style = if kind == WRONG { RED } else { YELLOW };
        let _ = writeln!(out, "\n{style}{kind}{style:#}: {help}");
        for one in such {
            let asked =
                one.question.address().map(|url| format!(", asked at {}", shown(url).visible()));
            let asked = asked.unwrap_or_default();
            let _ = writeln!(out, "  {} {DIM}({}{asked}){DIM:#}", one.key, one.place);
        }
    }
    let _ = writeln!(out, "\n{BOLD}{}{BOLD:#}", summary(&VerifiedTally::of(all)));
    out
}

/// JSON for programs.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn json(all: &[Checked]) -> serde_json::Result<String> {
    let entries = all
        .iter()
        .map(|one| VerifiedEntry {
            key: &one.key,
            domain: &one.question.domain,
            client_id: &one.question.client_id,
            declared_at: &one.place,
            token_url: one.question.address().map(shown),
            verdict: code(&one.verdict),
            message: why(&one.verdict),
        })
        .collect();
    let report =
        VerifiedReport { format_version: FORMAT_VERSION, summary: VerifiedTally::of(all), entries };
    to_json(&report)
}

impl VerifiedTally {
    fn of(all: &[Checked]) -> Self {
        let mut tally = Self::default();
        for one in all {
            *match &one.verdict {
                Verdict::Right => &mut tally.right,
                Verdict::Wrong(_) => &mut tally.wrong,
                Verdict::Unreachable(_) => &mut tally.unreachable,
                Verdict::Unclear(_) => &mut tally.unclear,
                Verdict::NoAddress => &mut tally.no_address,
            } += 1;
        }
        tally
    }
}

fn summary(tally: &VerifiedTally) -> String {
    let mut parts = vec![format!("{} right", tally.right), format!("{} wrong", tally.wrong)];
    for (number, what) in
        [(tally.unreachable, UNREACHABLE), (tally.unclear, UNCLEAR), (tally.no_address, NOT_ASKED)]
    {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    format!("{}.", parts.join(", "))
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "right",
        Verdict::Wrong(_) => WRONG,
        Verdict::Unreachable(_) => UNREACHABLE,
        Verdict::Unclear(_) => UNCLEAR,
        Verdict::NoAddress => NOT_ASKED,
    }
}

fn code(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::NoAddress => "no_address",
        Verdict::Right | Verdict::Wrong(_) | Verdict::Unreachable(_) | Verdict::Unclear(_) => {
            word(verdict)
        }
    }
}

fn why(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Right => None,
        Verdict::Wrong(why) | Verdict::Unreachable(why) | Verdict::Unclear(why) => Some(why),
        Verdict::NoAddress => Some("no token endpoint is known"),
    }
}

fn help(verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Right => None,
        Verdict::Wrong(_) => Some(
            "compare client id and secret with those that the provider shows; its secret may be a new one",
        ),
        Verdict::Unreachable(_) => Some("nothing is known of the client; try again later"),
        Verdict::Unclear(_) => {
            Some("nothing follows for the client; consent will show whether it is right")
        }
        Verdict::NoAddress => Some(
            "name the provider's token endpoint as `integration: {token_url: https://...}` in the entry",
        ),
    }
}

/// An address without its query.
fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}
