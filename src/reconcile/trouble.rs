//! Asks providers about the clients of accounts that do not run.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use super::prove::Verdicts;
use crate::integrations::Release;
use crate::model::{ClientAnswer, Desired, Key, Observed};
use crate::plan::{CredentialState, Plan, Trouble};
use crate::verify::{Question, Verdict};

/// Nobody who looks at a plan waits longer for a provider.
const WAITED_FOR: Duration = Duration::from_secs(5);

/// Adds to the troubles of a plan what providers say of their clients. Only credentials that are as
/// their entries want them are asked about: what HA uses is not known otherwise.
pub async fn ask_about_troubles(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    known: &mut Verdicts,
) {
    let release = Release::of(observed.version.as_deref());
    let states: Vec<CredentialState> =
        plan.credential_states.iter().map(|of| of.state.clone()).collect();
    let is_in_sync = |key: &Key| states.contains(&CredentialState::InSync(key.clone()));
    let mut troubles: BTreeMap<Key, &mut Trouble> = BTreeMap::new();
    for of in &mut plan.setup_states {
        if let Some(trouble) = of.trouble.as_mut().filter(|trouble| trouble.is_of_client()) {
            troubles.insert(of.key.clone(), trouble);
        }
    }
    // Each trouble is asked about until there is an answer, however often it is looked at.
    known.troubles.retain(|key, (seen, said)| {
        let is_same = troubles.get(key).is_some_and(|now| **now == *seen);
        is_same && !matches!(said, ClientAnswer::Unclear(_))
    });
    let asked: Vec<(Key, Question)> = troubles
        .keys()
        .filter(|key| !known.troubles.contains_key(*key) && is_in_sync(key))
        .filter_map(|key| Some((key.clone(), Question::of(desired.credential(key)?, release)?)))
        .collect();
    let questions: Vec<&Question> = asked.iter().map(|(_, question)| question).collect();
    let verdicts = timeout(WAITED_FOR, known.about(&questions)).await;
    let verdicts = verdicts.unwrap_or_else(|_| {
        let silent = || Verdict::Unreachable("it did not answer in time".to_owned());
        questions.iter().map(|_| silent()).collect()
    });
    for ((key, _), verdict) in asked.iter().zip(verdicts) {
        if let Some(trouble) = troubles.get(key) {
            known.troubles.insert(key.clone(), ((**trouble).clone(), verdict.into()));
        }
    }
    for (key, trouble) in troubles {
        if let Some((_, answer)) = known.troubles.get(&key) {
            trouble.client = answer.clone();
        }
    }
}
