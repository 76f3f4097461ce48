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

#[cfg(test)]
mod tests {
    use super::{
        ClientAnswer, CredentialState, Desired, Key, Observed, Plan, Question, SetUpId, Trouble,
        Verdicts, ask_about_troubles,
    };
    use crate::codes::RegistrationCode;
    use crate::model::{
        ClientId, ConfigEntry, CredentialId, DesiredCredential, Domain, EntryState, Held,
    };
    use crate::plan::{ComparedCredential, EntrySetup, SetupState};
    use crate::reconcile::prove::tests::account;
    use crate::verify::{AuthorizeQuestion, Checked, RedirectUri, Registration, Verdict};

    fn id() -> SetUpId {
        SetUpId { key: Key::new("a").unwrap(), account: None }
    }

    fn trouble(state: EntryState) -> Trouble {
        Trouble {
            account: ConfigEntry { state, ..account() },
            asks_again: false,
            misses_credential: false,
            is_starting: false,
            client: ClientAnswer::NotAsked,
        }
    }

    /// What is known of the client of a troubled account, where the provider says this, and what it said earlier.
    async fn answer(
        credential: CredentialState,
        seen: &Trouble,
        verdict: Verdict,
        earlier: Option<(Trouble, ClientAnswer)>,
    ) -> ClientAnswer {
        let entry = DesiredCredential::example("a");
        let said = Checked {
            key: entry.key.clone(),
            place: entry.place.clone(),
            question: Question::of(&entry, None).unwrap(),
            verdict,
            authorize: AuthorizeQuestion::of(&entry, None, RedirectUri::of(None)),
            registration: Registration { code: RegistrationCode::Registered, why: String::new() },
        };
        let mut known = Verdicts::of(&[said]);
        known.troubles.extend(earlier.map(|earlier| (id(), earlier)));
        let compared = ComparedCredential {
            held: Held {
                id: CredentialId::new("spotify_a"),
                domain: Domain::new("spotify"),
                client_id: ClientId::new("a"),
                name: None,
                auth_domain: None,
            },
            owned_by: None,
            state: credential,
            users: Vec::new(),
            is_protected: false,
            is_suspended: false,
        };
        let set_up =
            EntrySetup { id: id(), state: SetupState::NotSetUp, trouble: Some(seen.clone()) };
        let mut plan = Plan {
            credential_states: vec![compared],
            setup_states: vec![set_up],
            ..Plan::default()
        };
        let desired = Desired::example(vec![entry]);
        ask_about_troubles(&mut plan, &desired, &Observed::example(), &mut known).await;
        plan.setup_states.remove(0).trouble.unwrap().client
    }

    #[tokio::test]
    async fn each_trouble_of_a_client_that_is_as_wanted_is_asked_about_until_there_is_an_answer() {
        use ClientAnswer::{Accepted, NotAsked, Rejected, Unclear};
        let in_sync = || CredentialState::InSync(Key::new("a").unwrap());
        let (down, disabled) = (trouble(EntryState::SetupError), trouble(EntryState::Disabled));
        let wrong = || Verdict::Wrong("no".to_owned());
        assert_eq!(answer(in_sync(), &down, Verdict::Right, None).await, Accepted);
        let differs = CredentialState::Differs(Key::new("a").unwrap());
        assert_eq!(answer(differs, &down, Verdict::Right, None).await, NotAsked);
        assert_eq!(answer(in_sync(), &disabled, Verdict::Right, None).await, NotAsked);
        let earlier = Some((down.clone(), Accepted));
        assert_eq!(answer(in_sync(), &down, wrong(), earlier).await, Accepted);
        let other = Trouble { is_starting: true, ..down.clone() };
        let earlier = Some((other, Accepted));
        assert_eq!(answer(in_sync(), &down, wrong(), earlier).await, Rejected("no".to_owned()));
        let earlier = Some((down.clone(), Unclear("no answer".to_owned())));
        assert_eq!(answer(in_sync(), &down, Verdict::Right, earlier).await, Accepted);
    }
}
