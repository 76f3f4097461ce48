//! Asks providers about new secrets before these take the place of secrets that linked accounts use: a
//! wrong one would be noticed only when the account's access token has run out, hours later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::integrations::Release;
use crate::model::{Desired, Held, Key, Secret};
use crate::plan::{Action, Plan, Reason, Step, StepId};
use crate::verify::{Checked, Question, Verdict, verify};

use super::outcome::{Outcome, StepOutcome};

/// A provider is not asked about the same client again before this.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What can be carried out of a plan.
#[derive(Debug, PartialEq, Eq)]
pub struct Proven {
    /// The plan without the steps that a provider refuses, and without those that need them.
    pub plan: Plan,
    /// Why those are not done.
    pub refused: Vec<StepOutcome>,
    /// The secrets that could not be checked.
    pub unchecked: Vec<Unchecked>,
}

/// A secret in use that is replaced although it could not be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked {
    /// The entry.
    pub key: Key,
    /// What is new, in a few words.
    pub what: &'static str,
    /// Why not.
    pub why: String,
}

impl Proven {
    /// The whole plan, of which nothing was asked.
    pub fn whole(plan: &Plan) -> Self {
        Self { plan: plan.clone(), refused: Vec::new(), unchecked: Vec::new() }
    }
}

/// What providers have said lately, so that a watcher does not ask them in every round.
#[derive(Clone, Debug, Default)]
pub struct Verdicts(BTreeMap<[u8; 32], (Instant, Verdict)>);

/// Asks the providers about each secret that replaces one in use, as HA's version there would. What a
/// provider refuses is not done, and the old secret stays in force.
pub async fn prove(
    plan: &Plan,
    desired: &Desired,
    version: Option<&str>,
    known: &mut Verdicts,
) -> Proven {
    let release = Release::of(version);
    let asked: Vec<(&Step, Question)> = plan
        .steps
        .iter()
        .filter(|step| replaces_secret_in_use(plan, step))
        .filter_map(|step| Some((step, question(step, desired, release)?)))
        .collect();
    let questions: Vec<&Question> = asked.iter().map(|(_, question)| question).collect();
    let verdicts = known.about(&questions).await;
    let mut proven = Proven { plan: plan.clone(), refused: Vec::new(), unchecked: Vec::new() };
    for ((step, _), verdict) in asked.iter().zip(verdicts) {
        let unchecked = match verdict {
            Verdict::Right => continue,
            Verdict::Wrong(why) => {
                let what = what_is_new(&step.reasons);
                let why = format!("not replaced: the provider refuses the new {what} ({why})");
                let outcome = Outcome::NotBegun(why);
                proven.refused.push(StepOutcome { step: step.id, outcome });
                continue;
            }
            Verdict::Unreachable(why) | Verdict::Unclear(why) => why,
            Verdict::NoAddress => {
                "no token endpoint is known; `integration: {token_url: ...}` in the entry names it"
                    .to_owned()
            }
        };
        if let Some(wanted) = step.action.wanted() {
            let (key, what) = (wanted.key.clone(), what_is_new(&step.reasons));
            proven.unchecked.push(Unchecked { key, what, why: unchecked });
        }
    }
    leave_out_refused(&mut proven);
    proven
}

/// Takes refused steps out of the plan, those that come after them, and claims to what is then not
/// done.
fn leave_out_refused(proven: &mut Proven) {
    let mut refused: BTreeSet<StepId> = proven.refused.iter().map(|refused| refused.step).collect();
    loop {
        let is_next = |step: &&Step| {
            !refused.contains(&step.id) && step.after.is_some_and(|after| refused.contains(&after))
        };
        let Some(next) = proven.plan.steps.iter().find(is_next).map(|step| step.id) else { break };
        refused.insert(next);
        let outcome = Outcome::NotBegun("the step before it was not done".to_owned());
        proven.refused.push(StepOutcome { step: next, outcome });
    }
    let is_idle_claim = |step: &&Step| {
        let mut dependents =
            proven.plan.steps.iter().filter(|other| other.after == Some(step.id)).peekable();
        matches!(step.action, Action::Claim { .. })
            && dependents.peek().is_some()
            && dependents.all(|dependent| refused.contains(&dependent.id))
    };
    let idle: Vec<StepId> =
        proven.plan.steps.iter().filter(is_idle_claim).map(|step| step.id).collect();
    for step in idle {
        refused.insert(step);
        let outcome = Outcome::NotBegun("the step that needs it is not done".to_owned());
        proven.refused.push(StepOutcome { step, outcome });
    }
    proven.plan.steps.retain(|step| !refused.contains(&step.id));
}

/// Whether a step puts another secret in the place of one that linked accounts use.
fn replaces_secret_in_use(plan: &Plan, step: &Step) -> bool {
    let old = match &step.action {
        Action::Replace { old, .. } | Action::Adopt { old, .. } => old,
        _ => return false,
    };
    // With the same secret and client, nothing changes for the accounts.
    if step.reasons.iter().all(|reason| *reason == Reason::NameDiffers) {
        return false;
    }
    let is_used = |old: &Held| {
        plan.credential_states.iter().any(|of| of.held == *old && !of.users.is_empty())
    };
    !step.reload.is_empty() || old.iter().any(is_used)
}

/// What takes the place of what linked accounts use.
fn what_is_new(reasons: &[Reason]) -> &'static str {
    let is_secret = |reason| matches!(reason, &Reason::SecretDiffers | &Reason::SecretReencrypted);
    match (reasons.contains(&Reason::ClientIdDiffers), reasons.iter().any(is_secret)) {
        (true, true) => "client id and secret",
        (true, false) => "client id",
        (false, _) => "secret",
    }
}

fn question(step: &Step, desired: &Desired, release: Option<Release>) -> Option<Question> {
    Question::of(desired.entry(&step.action.wanted()?.key)?, release)
}

impl Verdicts {
    /// What providers have just said.
    pub fn of(checked: &[Checked]) -> Self {
        let now = Instant::now();
        let said = |one: &Checked| (digest(&one.question), (now, one.verdict.clone()));
        Self(checked.iter().map(said).collect())
    }

    /// The verdicts about these questions, in their order.
    async fn about(&mut self, questions: &[&Question]) -> Vec<Verdict> {
        let now = Instant::now();
        self.0.retain(|_, (since, _)| now.duration_since(*since) < REMEMBERED);
        let new: Vec<Question> = questions
            .iter()
            .filter(|question| !self.0.contains_key(&digest(question)))
            .map(|question| (*question).clone())
            .collect();
        for (question, verdict) in new.iter().zip(verify(&new).await) {
            self.0.insert(digest(question), (now, verdict));
        }
        let known =
            |question: &&Question| self.0.get(&digest(question)).map(|(_, known)| known.clone());
        questions.iter().map(|question| known(question).unwrap_or(Verdict::NoAddress)).collect()
    }
}

/// By which a question is known again without keeping its secret.
fn digest(question: &Question) -> [u8; 32] {
    let mut digest = Sha256::new();
    let parts: [&str; 4] = [
        question.domain.as_str(),
        question.token_url.as_deref().unwrap_or_default(),
        question.client_id.as_str(),
        Secret::expose(&question.client_secret),
    ];
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::{Reason, what_is_new};

    #[test]
    fn what_is_refused_is_named_as_what_it_is() {
        use Reason::{ClientIdDiffers, NameDiffers, SecretDiffers, SecretReencrypted};
        assert_eq!(what_is_new(&[ClientIdDiffers, NameDiffers]), "client id");
        assert_eq!(what_is_new(&[ClientIdDiffers, SecretDiffers]), "client id and secret");
        assert_eq!(what_is_new(&[SecretReencrypted]), "secret");
    }
}
