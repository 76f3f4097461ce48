//! Asks providers before something is done that they would refuse: about new secrets before these take
//! the place of secrets that linked accounts use (a wrong one would be noticed only when the account's
//! access token has run out, hours later), and about redirect URIs before a set-up asks for consent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::codes::RegistrationCode;
use crate::integrations::Release;
use crate::model::{
    ClientAnswer, CredentialId, Desired, Key, Observed, Secret, SetUpId, UnreadAccounts,
};
use crate::plan::{Action, ComparedCredential, Plan, Reason, Step, StepId, Trouble};
use crate::verify::{
    AuthorizeQuestion, Checked, Question, RedirectUri, Registration, Verdict, registrations, verify,
};

use super::outcome::{Outcome, StepOutcome};

/// A provider is not asked about the same client again before this.
const REMEMBERED: Duration = Duration::from_secs(600);
/// The same where it refused the client or its redirect URI: somebody may be about to correct that.
const REFUSAL_REMEMBERED: Duration = Duration::from_secs(60);
/// When a provider is asked again that did not accept one.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// No set-up waits longer for an answer.
const WAITED_FOR: Duration = Duration::from_secs(4);

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

/// Which secrets could not be checked, in a line: the first few by name. None where all were.
pub fn unchecked_line(unchecked: &[Unchecked]) -> Option<String> {
    const SHOWN: usize = 3;
    let Unchecked { key, what, why } = unchecked.first()?;
    if unchecked.len() == 1 {
        return Some(format!(
            "the new {what} of `{key}` replaces what accounts may use, and the provider could not be asked about it: {why}"
        ));
    }
    let named: Vec<String> = unchecked
        .iter()
        .take(SHOWN)
        .map(|Unchecked { key, what, why }| format!("{what} of `{key}` ({why})"))
        .collect();
    let more = match unchecked.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let count = unchecked.len();
    Some(format!(
        "{count} new secrets replace what accounts may use, and the providers could not be asked about them: {}{more}",
        named.join(", ")
    ))
}

impl Proven {
    /// The whole plan, of which nothing was asked.
    pub fn whole(plan: &Plan) -> Self {
        Self { plan: plan.clone(), refused: Vec::new(), unchecked: Vec::new() }
    }
}

/// What providers have said lately, so that a watcher does not ask them in every round.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    clients: BTreeMap<[u8; 32], (Instant, Verdict)>,
    registrations: BTreeMap<AuthorizeQuestion, (Instant, Registration)>,
    /// Of the clients of accounts that do not run, with all else that was seen of these then.
    pub(super) troubles: BTreeMap<SetUpId, (Trouble, ClientAnswer)>,
}

/// Asks the providers about each secret that replaces one in use, as the observed HA would, and about
/// each set-up that is to be started. What a provider refuses is not done: the old secret stays in
/// force, and no consent is asked for that nobody could give.
pub(super) async fn prove(
    plan: &Plan,
    desired: &Desired,
    observed: &Observed,
    known: &mut Verdicts,
) -> Proven {
    let release = Release::of(observed.version.as_deref());
    let is_used = |of: &&ComparedCredential| !of.users.is_empty();
    let used = plan.credential_states.iter().filter(is_used).map(|of| &of.held.id).collect();
    let asked: Vec<(&Step, Question)> = plan
        .steps
        .iter()
        .filter(|step| replaces_secret_in_use(&used, observed, step))
        .filter_map(|step| Some((step, question(step, desired, release)?)))
        .collect();
    let questions: Vec<&Question> = asked.iter().map(|(_, question)| question).collect();
    let verdicts = known.about(&questions, None).await;
    let mut proven = Proven { plan: plan.clone(), refused: Vec::new(), unchecked: Vec::new() };
    let mut unchecked = Vec::new();
    for ((step, _), verdict) in asked.iter().zip(verdicts) {
        let why = match verdict {
            Verdict::Right => continue,
            Verdict::Wrong(why) => {
                let what = what_is_new(&step.reasons);
                let why = format!(
                    "not replaced: the provider refuses the new {what} ({why}); correct it in the manifest or at the provider. The next run tries again"
                );
                let outcome = Outcome::NotBegun(why);
                proven.refused.push(StepOutcome::new(step.id, outcome));
                continue;
            }
            Verdict::Unreachable(why) | Verdict::Unclear(why) => why,
            Verdict::NoAddress => {
                "no token endpoint is known; `integration: {token_url: ...}` in the entry names it"
                    .to_owned()
            }
        };
        if let Some(wanted) = step.action.created() {
            let (key, what) = (wanted.key.clone(), what_is_new(&step.reasons));
            unchecked.push((step.id, Unchecked { key, what, why }));
        }
    }
    let back = observed.live.as_ref().map(|live| live.redirect_uri.as_str());
    let refused = refused_set_ups(&plan.steps, desired, observed, back, known).await;
    proven.refused.extend(
        refused.into_iter().map(|(step, why)| StepOutcome::new(step, Outcome::NotBegun(why))),
    );
    leave_out_refused(&mut proven);
    let remaining = unchecked.into_iter().filter(|(id, _)| proven.plan.step(*id).is_some());
    proven.unchecked = remaining.map(|(_, unchecked)| unchecked).collect();
    proven
}

/// The set-ups that their providers would refuse, if browsers are sent back to this redirect URI, and why.
pub async fn refused_set_ups<'p>(
    steps: impl IntoIterator<Item = &'p Step>,
    desired: &Desired,
    observed: &Observed,
    redirect_uri: Option<&str>,
    known: &mut Verdicts,
) -> Vec<(StepId, String)> {
    let asked = set_up_questions(steps, desired, observed, redirect_uri);
    let questions: Vec<&AuthorizeQuestion> = asked.iter().map(|(_, question)| question).collect();
    let said = known.about_set_ups(&questions).await;
    let refused = asked.iter().zip(&said).filter(|(_, said)| said.is_refused());
    refused.map(|((step, question), said)| (*step, not_started(question, said))).collect()
}

/// What to ask before set-ups are started. Of one that is open already, the consent link was shown.
fn set_up_questions<'p>(
    steps: impl IntoIterator<Item = &'p Step>,
    desired: &Desired,
    observed: &Observed,
    redirect_uri: Option<&str>,
) -> Vec<(StepId, AuthorizeQuestion)> {
    let release = Release::of(observed.version.as_deref());
    let asked = steps.into_iter().filter_map(|step| {
        let Action::SetUp { wanted, open: None, .. } = &step.action else { return None };
        let redirect_uri = RedirectUri::of(Some(redirect_uri?));
        let entry = desired.credential(&wanted.key)?;
        Some((step.id, AuthorizeQuestion::of(entry, release, redirect_uri)))
    });
    asked.collect()
}

fn not_started(question: &AuthorizeQuestion, said: &Registration) -> String {
    let uri = &question.redirect_uri.uri;
    let (what, to_do) = match said.code {
        RegistrationCode::UnknownClient => {
            ("client id", "compare it with what the provider shows".to_owned())
        }
        _ => ("redirect URI", format!("register exactly {uri} for the client")),
    };
    format!(
        "not started: the provider does not (yet) accept the {what} ({}); {to_do}. The next run tries again",
        said.why
    )
}

/// Takes refused steps out of the plan, those that come after them, and claims to what is then not
/// done.
fn leave_out_refused(proven: &mut Proven) {
    let mut refused: BTreeSet<StepId> = proven.refused.iter().map(|refused| refused.step).collect();
    let mut dependents: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for step in &proven.plan.steps {
        let Some(after) = step.after else { continue };
        dependents.entry(after).or_default().push(step.id);
        // A step comes after one with a lower number.
        if refused.contains(&after) && refused.insert(step.id) {
            let outcome = Outcome::NotBegun("the step before it was not done".to_owned());
            proven.refused.push(StepOutcome::new(step.id, outcome));
        }
    }
    let is_idle_claim = |step: &&Step| {
        matches!(step.action, Action::Claim { .. })
            && dependents.get(&step.id).is_some_and(|all| all.iter().all(|id| refused.contains(id)))
    };
    let idle: Vec<StepId> =
        proven.plan.steps.iter().filter(is_idle_claim).map(|step| step.id).collect();
    for step in idle {
        refused.insert(step);
        let outcome = Outcome::NotBegun("the step that needs it is not done".to_owned());
        proven.refused.push(StepOutcome::new(step, outcome));
    }
    proven.plan.steps.retain(|step| !refused.contains(&step.id));
}

/// Whether a step changes the secret of what linked accounts use, or may use where these are not known.
fn replaces_secret_in_use(
    used: &BTreeSet<&CredentialId>,
    observed: &Observed,
    step: &Step,
) -> bool {
    let old = match &step.action {
        Action::Replace { old, .. } | Action::Adopt { old, .. } => old,
        _ => return false,
    };
    use Reason::{NameDiffers, OwnerRenamed, Renamed, TakenForRenamed};
    // With the same secret and client, nothing changes for the accounts.
    let keeps_client =
        |reason| matches!(reason, &(NameDiffers | OwnerRenamed | Renamed | TakenForRenamed));
    if step.reasons.iter().all(keeps_client) {
        return false;
    }
    let is_unknown = observed.unread_accounts.contains(&UnreadAccounts::All);
    !step.reload.is_empty() || is_unknown || old.iter().any(|old| used.contains(&old.id))
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
    Question::of(desired.credential(&step.action.created()?.key)?, release)
}

impl Verdicts {
    /// What providers have just said.
    pub fn of(checked: &[Checked]) -> Self {
        let now = Instant::now();
        let client = |one: &Checked| (digest(&one.question), (now, one.verdict.clone()));
        let registration = |one: &Checked| (one.authorize.clone(), (now, one.registration.clone()));
        Self {
            clients: checked.iter().map(client).collect(),
            registrations: checked.iter().map(registration).collect(),
            troubles: BTreeMap::new(),
        }
    }

    /// Asks beforehand, so that several targets do not ask the same.
    pub async fn learn_about_set_ups<'p>(
        &mut self,
        plans: impl IntoIterator<Item = (&'p Plan, &'p Desired, &'p Observed)>,
    ) {
        let asked: Vec<_> = plans
            .into_iter()
            .flat_map(|(plan, desired, observed)| {
                let back = observed.live.as_ref().map(|live| live.redirect_uri.as_str());
                set_up_questions(&plan.steps, desired, observed, back)
            })
            .collect();
        let questions: Vec<&AuthorizeQuestion> = asked.iter().map(|(_, asked)| asked).collect();
        self.about_set_ups(&questions).await;
    }

    /// What providers say of redirect URIs, in the order of the questions.
    async fn about_set_ups(&mut self, questions: &[&AuthorizeQuestion]) -> Vec<Registration> {
        let now = Instant::now();
        self.registrations.retain(|_, (since, said)| {
            let kept = if said.is_refused() { REFUSAL_REMEMBERED } else { REMEMBERED };
            now.duration_since(*since) < kept
        });
        let is_new = |asked: &&AuthorizeQuestion| !self.registrations.contains_key(*asked);
        // The accounts of one entry have one question.
        let new: BTreeSet<&AuthorizeQuestion> = questions.iter().copied().filter(is_new).collect();
        let new: Vec<&AuthorizeQuestion> = new.into_iter().collect();
        let said = registrations(&new, ASKED_AGAIN_AFTER, WAITED_FOR).await;
        self.registrations
            .extend(new.into_iter().cloned().zip(said.into_iter().map(|said| (now, said))));
        questions.iter().map(|asked| self.registrations[*asked].1.clone()).collect()
    }

    /// The verdicts about these questions, in their order; of who has not answered by `until`, that. Who can wait
    /// asks again where another one could not.
    pub(super) async fn about(
        &mut self,
        questions: &[&Question],
        until: Option<Instant>,
    ) -> Vec<Verdict> {
        let now = Instant::now();
        self.clients.retain(|_, (since, verdict)| {
            let kept = match verdict {
                Verdict::Wrong(_) => REFUSAL_REMEMBERED,
                _ => REMEMBERED,
            };
            let is_impatient = matches!(verdict, Verdict::Unreachable(_)) && until.is_none();
            now.duration_since(*since) < kept && !is_impatient
        });
        let new: Vec<Question> = questions
            .iter()
            .filter(|question| !self.clients.contains_key(&digest(question)))
            .map(|question| (*question).clone())
            .collect();
        for (question, verdict) in new.iter().zip(verify(&new, until).await) {
            self.clients.insert(digest(question), (now, verdict));
        }
        let known = |question: &&Question| {
            self.clients.get(&digest(question)).map(|(_, known)| known.clone())
        };
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
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use tokio::time::advance;

    use super::{
        Action, AuthorizeQuestion, ComparedCredential, CredentialId, Desired, Instant, Key,
        Observed, Outcome, Plan, Proven, Question, REFUSAL_REMEMBERED, REMEMBERED, Reason,
        RedirectUri, Registration, RegistrationCode, Secret, Step, StepId, StepOutcome, Unchecked,
        UnreadAccounts, Verdict, Verdicts, digest, leave_out_refused, prove,
        replaces_secret_in_use, unchecked_line, what_is_new,
    };
    use crate::integrations::ClientAuth;
    use crate::model::{
        ClientId, ConfigEntry, DesiredCredential, Domain, EntryId, EntryState, Held, Live,
    };
    use crate::plan::{CredentialState, Wanted};

    fn wanted() -> Wanted {
        Wanted {
            key: Key::new("a").unwrap(),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            name: "n".into(),
            auth_domain: "a".into(),
        }
    }

    fn held(id: &str) -> Held {
        let (domain, client_id) = (Domain::new("spotify"), ClientId::new("c"));
        Held { id: CredentialId::new(id), domain, client_id, name: None, auth_domain: None }
    }

    pub(in crate::reconcile) fn account() -> ConfigEntry {
        ConfigEntry {
            id: EntryId::new("e"),
            domain: Domain::new("spotify"),
            title: "Anna".into(),
            state: EntryState::Loaded,
            reason: None,
            implementation: None,
        }
    }

    fn replace() -> Action {
        Action::Replace { wanted: wanted(), old: vec![held("old")] }
    }

    #[test]
    fn many_that_could_not_be_checked_are_one_line() {
        let unchecked = |number: usize| {
            let key = Key::new(&format!("k{number}")).unwrap();
            Unchecked { key, what: "secret", why: "no answer".to_owned() }
        };
        let line = |count: usize| unchecked_line(&(0..count).map(unchecked).collect::<Vec<_>>());
        assert_eq!(line(0), None);
        let one = "the new secret of `k0` replaces what accounts may use, and the provider could not be asked about it: no answer";
        assert_eq!(line(1).unwrap(), one);
        let many = line(1000).unwrap();
        assert!(many.starts_with("1000 new secrets replace what accounts may use"), "{many}");
        assert!(many.ends_with("secret of `k2` (no answer), and 997 more"), "{many}");
    }

    #[test]
    fn what_is_refused_is_named_as_what_it_is() {
        use Reason::{ClientIdDiffers, NameDiffers, SecretDiffers, SecretReencrypted};
        assert_eq!(what_is_new(&[ClientIdDiffers, NameDiffers]), "client id");
        assert_eq!(what_is_new(&[ClientIdDiffers, SecretDiffers]), "client id and secret");
        assert_eq!(what_is_new(&[SecretReencrypted]), "secret");
    }

    #[test]
    fn what_comes_after_a_refused_step_and_what_only_that_needs_is_left_out() {
        let claim = || Action::Claim { wanted: wanted(), old: Vec::new() };
        let delete = || Action::Delete { old: held("old"), remove: Vec::new() };
        let actions = [
            (claim(), None),
            (replace(), Some(0)),
            (delete(), Some(1)),
            (claim(), None),
            (replace(), Some(3)),
            (claim(), None),
            (delete(), None),
        ];
        let steps = actions.into_iter().enumerate().map(|(at, (action, after))| Step {
            after: after.map(StepId),
            ..Step::new(StepId(at), action)
        });
        let plan = Plan { steps: steps.collect(), ..Plan::default() };
        let refused = vec![StepOutcome::new(StepId(1), Outcome::NotBegun("wrong".to_owned()))];
        let mut proven = Proven { plan, refused, unchecked: Vec::new() };
        leave_out_refused(&mut proven);
        let left: Vec<_> = proven.plan.steps.iter().map(|step| step.id.0).collect();
        assert_eq!(left, [3, 4, 5, 6]);
        let refused: Vec<_> = proven.refused.iter().map(|refused| refused.step.0).collect();
        assert_eq!(refused, [1, 2, 0]);
    }

    #[test]
    fn a_provider_is_asked_where_accounts_use_the_secret_or_may() {
        let account = account();
        let (in_use, unused) = (CredentialId::new("old"), CredentialId::new("other"));
        let delete = Action::Delete { old: held("old"), remove: Vec::new() };
        let secret = vec![Reason::SecretDiffers];
        let name = vec![Reason::NameDiffers, Reason::Renamed, Reason::OwnerRenamed];
        for (action, reasons, reload, used, unread, is_asked) in [
            (replace(), &secret, vec![], &in_use, vec![], true),
            (replace(), &secret, vec![], &unused, vec![], false),
            (replace(), &secret, vec![account.clone()], &unused, vec![], true),
            (replace(), &secret, vec![], &unused, vec![UnreadAccounts::All], true),
            (replace(), &name, vec![account.clone()], &in_use, vec![UnreadAccounts::All], false),
            (delete, &secret, vec![account], &in_use, vec![UnreadAccounts::All], false),
        ] {
            let step = Step { reasons: reasons.clone(), reload, ..Step::new(StepId(0), action) };
            let observed = Observed { unread_accounts: unread, ..Observed::example() };
            let used = BTreeSet::from([used]);
            assert_eq!(replaces_secret_in_use(&used, &observed, &step), is_asked, "{step:?}");
        }
    }

    /// The entry of an integration whose provider nobody knows, so that nobody is asked.
    fn desired() -> Desired {
        let (key, domain) = (Key::new("a").unwrap(), Domain::new("nowhere"));
        let entry = DesiredCredential { key, domain, ..DesiredCredential::example("c") };
        Desired::example(vec![entry])
    }

    #[tokio::test]
    async fn a_new_secret_of_what_accounts_use_is_checked_though_none_is_reloaded() {
        for (users, is_asked) in [(vec![account()], true), (vec![], false)] {
            let state = ComparedCredential {
                held: held("old"),
                owned_by: None,
                state: CredentialState::Differs(Key::new("a").unwrap()),
                users,
                is_protected: false,
                is_suspended: false,
            };
            let reasons = vec![Reason::SecretDiffers];
            let steps = vec![Step { reasons, ..Step::new(StepId(0), replace()) }];
            let plan = Plan { steps, credential_states: vec![state], ..Plan::default() };
            let proven =
                prove(&plan, &desired(), &Observed::example(), &mut Verdicts::default()).await;
            assert_eq!(proven.unchecked.len(), usize::from(is_asked));
            assert_eq!(proven.plan.steps.len(), 1);
        }
    }

    #[tokio::test]
    async fn what_several_targets_would_ask_is_known_beforehand() {
        let action = Action::SetUp { wanted: wanted(), name: None, account: None, open: None };
        let plan = Plan { steps: vec![Step::new(StepId(0), action)], ..Plan::default() };
        let back = "http://house/auth/external/callback".to_owned();
        let live = Live { redirect_uri: back, ..Live::default() };
        let observed = Observed { live: Some(live), ..Observed::example() };
        let desired = desired();
        let mut known = Verdicts::default();
        known.learn_about_set_ups([(&plan, &desired, &observed); 2]).await;
        let asked: Vec<_> = known.registrations.keys().map(|asked| &asked.domain).collect();
        assert_eq!(asked, [&Domain::new("nowhere")]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_provider_has_said_is_remembered_for_its_time() {
        let second = Duration::from_secs(1);
        let question = Question {
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            client_secret: Secret::new("hush"),
            token_url: None,
            client_auth: ClientAuth::Body,
            is_ignored: false,
        };
        let mut known = Verdicts::default();
        known.clients.insert(digest(&question), (Instant::now(), Verdict::Right));
        advance(REMEMBERED - second).await;
        assert_eq!(known.about(&[&question], None).await, [Verdict::Right]);
        let other = Question { client_secret: Secret::new("other"), ..question.clone() };
        let said = known.about(&[&other, &question], None).await;
        assert_eq!(said, [Verdict::NoAddress, Verdict::Right]);
        advance(second).await;
        assert_eq!(known.about(&[&question], None).await, [Verdict::NoAddress]);

        // Somebody may have corrected what was refused, and who did not answer in time may do so now.
        let wrong = Verdict::Wrong("no".to_owned());
        known.clients.insert(digest(&question), (Instant::now(), wrong.clone()));
        advance(REFUSAL_REMEMBERED - second).await;
        assert_eq!(known.about(&[&question], None).await, [wrong]);
        advance(second).await;
        assert_eq!(known.about(&[&question], None).await, [Verdict::NoAddress]);
        let late = Verdict::Unreachable("no answer".to_owned());
        known.clients.insert(digest(&question), (Instant::now(), late.clone()));
        assert_eq!(known.about(&[&question], Some(Instant::now())).await, [late]);
        assert_eq!(known.about(&[&question], None).await, [Verdict::NoAddress]);

        for (code, remembered) in [
            (RegistrationCode::NotRegistered, REFUSAL_REMEMBERED),
            (RegistrationCode::Registered, REMEMBERED),
        ] {
            let question = AuthorizeQuestion {
                domain: Domain::new("spotify"),
                client_id: ClientId::new("c"),
                authorize_url: Err("nowhere".to_owned()),
                redirect_uri: RedirectUri::of(Some("http://house/auth/external/callback")),
                parameters: Default::default(),
                pkce: false,
                is_known_provider: false,
            };
            let said = Registration { code, why: "so".to_owned() };
            let mut known = Verdicts::default();
            known.registrations.insert(question.clone(), (Instant::now(), said.clone()));
            advance(remembered - second).await;
            assert_eq!(known.about_set_ups(&[&question]).await, [said]);
            advance(second).await;
            assert_eq!(known.about_set_ups(&[&question]).await[0].why, "nowhere");
        }
    }
}
