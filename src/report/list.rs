//! `list` as text for people.

use std::fmt::Write;

use comfy_table::Table;

use crate::model::Visible;
use crate::plan::{ComparedCredential, CredentialState, Plan};

use super::text::{DIM, RED, head, in_full, line, redirect_uri};
use super::{TargetReport, mark_of, notices, set_up, words};

/// Every credential, as a table for each target.
pub fn text(targets: &[TargetReport<'_>]) -> String {
    let mut out = String::new();
    for target in targets {
        if !out.is_empty() {
            out.push('\n');
        }
        if targets.len() > 1 || target.plan.is_err() {
            head(&mut out, target);
        }
        match target.plan {
            Ok(plan) if plan.credential_states.is_empty() => out.push_str("No credentials.\n"),
            Ok(plan) => {
                let _ = writeln!(out, "{}", table(plan));
                notices::named(&mut out, plan);
                shadows(&mut out, plan);
                for notice in notices::notices(plan) {
                    out.push('\n');
                    in_full(&mut out, &notice);
                }
                redirect_uri(&mut out, target.redirect_uri);
            }
            Err(why) => line(&mut out, RED, &format!("  error: {why}")),
        }
    }
    out
}

/// Explains credentials that Home Assistant shows twice.
fn shadows(out: &mut String, plan: &Plan) {
    let shadowed =
        plan.credential_states.iter().filter(|of| matches!(of.state, CredentialState::Shadowed(_)));
    for ComparedCredential { held, users, .. } in shadowed {
        let users = words::accounts(users);
        let notice = format!(
            "{} was made by hand and is still used by {users}: another credential has replaced it, and it is deleted when Home Assistant releases it",
            held.id
        );
        out.push('\n');
        line(out, DIM, &notice);
    }
}

fn table(plan: &Plan) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let mut header = vec!["ID", "INTEGRATION", "NAME", "CLIENT ID", "OWNER", "USED BY", "STATE"];
    // A configuration folder says nothing of set-ups.
    let knows_set_up = !plan.setup_states.is_empty();
    header.extend(knows_set_up.then_some("SET-UP"));
    table.set_header(header);
    for ComparedCredential { held, state, users } in &plan.credential_states {
        let users: Vec<&str> = users.iter().map(|entry| entry.title.as_str()).collect();
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let mut row = vec![
            held.id.to_string(),
            held.domain.to_string(),
            or_dash(held.name.as_deref().unwrap_or_default()),
            held.client_id.to_string(),
            or_dash(&mark_of(held).map(|mark| mark.owner.to_string()).unwrap_or_default()),
            or_dash(&users.join(", ")),
            words::credential(state.code()).to_owned(),
        ];
        row.extend(knows_set_up.then(|| or_dash(&set_up::state_of(plan, state))));
        table.add_row(row.iter().map(|cell| cell.visible().into_owned()));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}
