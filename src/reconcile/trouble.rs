//! Asks providers about the clients of accounts that do not run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::prove::Verdicts;
use crate::integrations::Release;
use crate::model::{ClientAnswer, Desired, Key, Observed, SetUpId};
use crate::plan::{CredentialState, Plan, Trouble};
use crate::verify::Question;

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
    let in_sync: BTreeSet<&Key> = plan
        .credential_states
        .iter()
        .filter_map(|of| match &of.state {
            CredentialState::InSync(key) => Some(key),
            _ => None,
        })
        .collect();
    let mut troubles: BTreeMap<SetUpId, &mut Trouble> = BTreeMap::new();
    for of in &mut plan.setup_states {
        if let Some(trouble) = of.trouble.as_mut().filter(|trouble| trouble.is_of_client()) {
            troubles.insert(of.id.clone(), trouble);
        }
    }
    // Each trouble is asked about until there is an answer, however often it is looked at.
    known.troubles.retain(|id, (seen, said)| {
        let is_same = troubles.get(id).is_some_and(|now| **now == *seen);
        is_same && !matches!(said, ClientAnswer::Unclear(_))
    });
    let asked: Vec<(SetUpId, Question)> = troubles
        .keys()
        .filter(|id| !known.troubles.contains_key(*id) && in_sync.contains(&id.key))
        .filter_map(|id| Some((id.clone(), Question::of(desired.credential(&id.key)?, release)?)))
        .collect();
    let questions: Vec<&Question> = asked.iter().map(|(_, question)| question).collect();
    let verdicts = known.about(&questions, Some(Instant::now() + WAITED_FOR)).await;
    for ((id, _), verdict) in asked.iter().zip(verdicts) {
        if let Some(trouble) = troubles.get(id) {
            known.troubles.insert(id.clone(), ((**trouble).clone(), verdict.into()));
        }
    }
    for (id, trouble) in troubles {
        if let Some((_, answer)) = known.troubles.get(&id) {
            trouble.client = answer.clone();
        }
    }
}
