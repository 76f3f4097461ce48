//! Notifying people of what happens: by a message in Home Assistant, and by webhooks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::codes::EventCode;
use crate::files::fetched;
use crate::model::{Commit, Due, FlowStep, Key, NotifyAction, SetUpId, TargetName, Visible};
use crate::plan::SetupState;
use crate::status::{EntryStatus, TargetStatus, Waiting};
use crate::target::Stop;

use super::TargetSpec;
use super::connection::WatchedTarget;
use super::drift::DriftNews;
use super::message_text::message;
use super::notice::{Notice, post};
use super::webhook::{Webhook, WebhookSender};

/// The title of the message in Home Assistant.
const TITLE: &str = "appcred waits for you";

/// Notices that wait for a connection; what comes on top is not sent by actions.
const MOST_UNSENT: usize = 16;

/// Home Assistant restarts within this, which is no error to be notified of.
const RESTART: Duration = Duration::from_secs(120);

/// Who is notified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Whoever opens Home Assistant, of accounts that wait for consent and of clients that expire.
    pub home_assistant: bool,
    /// Whomever these actions of Home Assistant notify, of all that happens at that target.
    pub actions: Vec<NotifyAction>,
    /// These addresses, of all that happens.
    pub webhooks: Vec<Webhook>,
}

/// A message for those who open Home Assistant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    id: String,
    /// None where the message is to be removed.
    text: Option<String>,
}

/// What was reported of one target.
pub(super) struct Notifier {
    name: TargetName,
    webhooks: WebhookSender,
    displayed: Option<Message>,
    /// Why the last one could not be displayed.
    cannot_display: Option<String>,
    /// Home Assistant keeps its messages only as long as it runs.
    may_be_lost: bool,
    /// The set-ups that waited for a person, each with what it waited for.
    pending: BTreeMap<SetUpId, FlowStep>,
    /// Why the last set-ups failed.
    failed: BTreeMap<SetUpId, String>,
    /// What was due of clients.
    due: BTreeMap<Key, Due>,
    error: Option<String>,
    /// Since when nobody answers.
    outage: Option<Instant>,
    /// What was not done, each with the reason.
    withheld: BTreeSet<String>,
    /// What actions of the target are to be called with, once it is connected.
    unsent: Vec<String>,
}

impl Notifier {
    pub(super) fn new(name: TargetName, stop: Stop) -> Self {
        Self {
            webhooks: WebhookSender::new(Some(name.clone()), stop),
            name,
            displayed: None,
            cannot_display: None,
            may_be_lost: false,
            pending: BTreeMap::new(),
            failed: BTreeMap::new(),
            due: BTreeMap::new(),
            error: None,
            outage: None,
            withheld: BTreeSet::new(),
            unsent: Vec::new(),
        }
    }

    /// The target may have been restarted, or be another one.
    pub(super) fn disconnected(&mut self) {
        self.may_be_lost = true;
    }

    /// Sends what is new to webhooks. `is_outage` says whether nobody answered.
    pub(super) fn post_events(
        &mut self,
        spec: &TargetSpec,
        target: &TargetStatus,
        drift: &DriftNews,
        is_outage: bool,
        (now, commit): (Timestamp, Option<&Commit>),
    ) {
        for (event, message) in self.events(target, drift, is_outage) {
            if !spec.notices.actions.is_empty() && self.unsent.len() < MOST_UNSENT {
                self.unsent.push(fetched::named(&message).into_owned());
            }
            let notice = Notice::new(event, message, now).at_commit(commit);
            let notice = notice.about(&self.name, target);
            post(&mut self.webhooks, &spec.notices.webhooks, &notice);
        }
    }

    /// What Home Assistant is to display, if that is new.
    fn new_message(&self, spec: &TargetSpec, target: &TargetStatus) -> Option<Message> {
        let waiting: Vec<Waiting<'_>> = target.waiting().collect();
        let is_on = spec.notices.home_assistant;
        let due: Vec<&EntryStatus> =
            target.entries.iter().filter(|entry| entry.lifetime.due.is_some()).collect();
        let is_needed = !waiting.is_empty() || !due.is_empty();
        let text = (is_on && is_needed).then(|| message(&waiting, &due));
        let message = Message { id: format!("appcred_{}", spec.desired.owner), text };
        let is_new = self.may_be_lost || self.displayed.as_ref() != Some(&message);
        let has_message = self.displayed.as_ref().is_some_and(|last| last.text.is_some());
        (is_new && (is_on || has_message)).then_some(message)
    }

    /// Has Home Assistant do what notifies people: messages that it displays, and actions.
    pub(super) async fn notify<T: WatchedTarget>(
        &mut self,
        spec: &TargetSpec,
        status: &TargetStatus,
        target: &T,
    ) {
        if let Some(message) = self.new_message(spec, status) {
            self.display(&message, target).await;
        }
        for text in std::mem::take(&mut self.unsent) {
            for action in &spec.notices.actions {
                let title = format!("appcred: {}", self.name);
                if let Err(why) = target.call_action(action, &title, &text).await {
                    let name = action.name();
                    tracing::warn!(target = %self.name, "notify.{name} did not accept a notice: {why}");
                }
            }
        }
    }

    /// Has Home Assistant display a message, or remove it.
    async fn display<T: WatchedTarget>(&mut self, message: &Message, target: &T) {
        let Message { id, text } = message;
        let old = self.displayed.as_ref().filter(|old| old.id != *id && old.text.is_some());
        let shown = async {
            if let Some(old) = old {
                target.display(&old.id, TITLE, None).await?;
            }
            target.display(id, TITLE, text.as_deref()).await
        };
        match shown.await {
            Ok(()) => {
                if self.cannot_display.take().is_some() {
                    tracing::info!(target = %self.name, "Home Assistant displays messages again");
                }
                self.displayed = Some(message.clone());
                self.may_be_lost = false;
            }
            Err(why) => {
                let why = why.to_string();
                if self.cannot_display.as_ref() != Some(&why) {
                    tracing::warn!(target = %self.name, "Home Assistant displays no message: {why}");
                }
                self.cannot_display = Some(why);
            }
        }
    }

    /// What is new since the last time.
    fn events(
        &mut self,
        target: &TargetStatus,
        drift: &DriftNews,
        is_outage: bool,
    ) -> Vec<(EventCode, String)> {
        let mut events = Vec::new();
        // What waited when the connection ended shows when there is one again.
        if target.is_connected() {
            events = self.pending_events(target);
            events.extend(self.failed_events(target));
        }
        events.extend(self.due_events(target));
        events.extend(drift.message().map(|message| (EventCode::Drift, message)));
        if target.is_connected() {
            events.extend(self.withheld_event(target));
        }
        events.extend(self.error_event(target, is_outage));
        events
    }

    /// What is newly not done before somebody decides.
    fn withheld_event(&mut self, target: &TargetStatus) -> Option<(EventCode, String)> {
        let withheld = target.differences.iter().filter_map(|difference| {
            let why = difference.why.as_ref().filter(|why| why.needs_person())?;
            Some(format!("{}: {why}", difference.what))
        });
        let before = std::mem::replace(&mut self.withheld, withheld.collect());
        let new: Vec<&str> = self.withheld.difference(&before).map(String::as_str).collect();
        (!new.is_empty()).then(|| (EventCode::Withheld, format!("not done: {}", new.join("; "))))
    }

    /// A new error, or the end of one. An outage is one when it lasts.
    fn error_event(
        &mut self,
        target: &TargetStatus,
        is_outage: bool,
    ) -> Option<(EventCode, String)> {
        let outage = is_outage.then(|| self.outage.unwrap_or_else(Instant::now));
        self.outage = outage;
        if self.error.is_none() && outage.is_some_and(|since| since.elapsed() < RESTART) {
            return None;
        }
        // What failed and waits for a window may fail again then.
        if target.error.is_none() && target.postponed().is_some() {
            return None;
        }
        let last = std::mem::replace(&mut self.error, target.error.clone());
        match (last, &target.error) {
            (None, Some(why)) => Some((EventCode::Error, why.clone())),
            (Some(_), None) if target.differences.is_empty() => {
                Some((EventCode::Recovered, "the target is in sync again".to_owned()))
            }
            (Some(_), None) => {
                let still = target.differences.iter().map(|difference| match &difference.why {
                    Some(why) => format!("{}: {why}", difference.what),
                    None => difference.what.clone(),
                });
                let still = still.collect::<Vec<_>>().join("; ");
                Some((EventCode::Recovered, format!("the error is over; still not done: {still}")))
            }
            _ => None,
        }
    }

    /// Set-ups that have failed since, or now for another reason.
    fn failed_events(&mut self, target: &TargetStatus) -> Vec<(EventCode, String)> {
        let mut failed = BTreeMap::new();
        for entry in &target.entries {
            // Why the one before failed is in the notice of what waits.
            let ended = entry.set_ups.iter().filter(|set_up| set_up.waits_for.is_none());
            failed.extend(ended.filter_map(|of| {
                let id = SetUpId { key: entry.key.clone(), account: of.account.clone() };
                Some((id, of.error.clone()?))
            }));
        }
        let last = std::mem::replace(&mut self.failed, failed);
        let new = self.failed.iter().filter(|(id, why)| last.get(*id) != Some(*why));
        new.map(|(id, why)| {
            (EventCode::SetUpFailed, format!("the set-up of {id} failed: {}", why.visible()))
        })
        .collect()
    }

    /// What has become due of clients, and what is no longer: one of each kind for all entries.
    fn due_events(&mut self, target: &TargetStatus) -> BTreeMap<EventCode, String> {
        let due = target.entries.iter();
        let due = due.filter_map(|entry| Some((entry.key.clone(), entry.lifetime.due?))).collect();
        let before = std::mem::replace(&mut self.due, due);
        let mut events: BTreeMap<EventCode, String> = BTreeMap::new();
        for entry in &target.entries {
            let (now, before) = (entry.lifetime.due, before.get(&entry.key).copied());
            if now == before {
                continue;
            }
            let event = match now {
                Some(Due::Rotation) => EventCode::RotationDue,
                Some(Due::Expiring) => EventCode::ClientExpiring,
                Some(Due::Expired) => EventCode::ClientExpired,
                None => EventCode::ClientRenewed,
            };
            let what = entry.lifetime.notice().unwrap_or_else(|| "nothing is due any more".into());
            let message = events.entry(event).or_default();
            message.push_str(if message.is_empty() { "" } else { "; " });
            message.push_str(&format!("`{}`: {what}", entry.key));
        }
        events
    }

    fn pending_events(&mut self, target: &TargetStatus) -> Vec<(EventCode, String)> {
        let pending: BTreeMap<_, _> =
            target.waiting().map(|it| (it.id(), it.step.clone())).collect();
        let mut events = Vec::new();
        for awaited in [Awaited::Consent, Awaited::Answers] {
            let (begun, settled, what) = awaited.events();
            let is_awaited = |step: &FlowStep| Awaited::by(step) == awaited;
            // A link that has died with Home Assistant is followed by another one.
            let new = pending
                .iter()
                .filter(|(id, step)| is_awaited(step) && self.pending.get(*id) != Some(*step));
            let new: Vec<&SetUpId> = new.map(|(id, _)| id).collect();
            if !new.is_empty() {
                events.push((begun, waits(&new, "now", what)));
            }
            let gone = self
                .pending
                .iter()
                .filter(|(id, step)| is_awaited(step) && !pending.get(*id).is_some_and(is_awaited));
            let (abandoned, gone): (Vec<&SetUpId>, Vec<&SetUpId>) =
                gone.map(|(id, _)| id).partition(|id| is_abandoned(target, id));
            if !gone.is_empty() {
                events.push((settled, waits(&gone, "no longer", what)));
            }
            if !abandoned.is_empty() {
                let message =
                    format!("{}; what was open is abandoned", waits(&abandoned, "no longer", what));
                events.push((EventCode::SetUpAbandoned, message));
            }
        }
        self.pending = pending;
        events
    }
}

/// Whether a set-up that no longer waits has neither succeeded nor failed.
fn is_abandoned(target: &TargetStatus, id: &SetUpId) -> bool {
    let entry = target.entries.iter().find(|entry| entry.key == id.key);
    let set_up = entry.and_then(|entry| entry.set_ups.iter().find(|it| it.account == id.account));
    set_up.is_none_or(|set_up| {
        set_up.error.is_none()
            && matches!(set_up.state, SetupState::NotSetUp | SetupState::NotWanted)
    })
}

/// What a set-up waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Consent,
    Answers,
}

impl Awaited {
    fn by(step: &FlowStep) -> Self {
        if step.needs_consent() { Self::Consent } else { Self::Answers }
    }

    /// The event when something begins to wait for it, the one when it no longer does, and its name.
    fn events(self) -> (EventCode, EventCode, &'static str) {
        match self {
            Self::Consent => (EventCode::ConsentPending, EventCode::ConsentSettled, "consent"),
            Self::Answers => {
                (EventCode::AnswersPending, EventCode::AnswersSettled, "answers in the manifest")
            }
        }
    }
}

/// That these set-ups wait for this, now or no longer.
fn waits(ids: &[&SetUpId], when: &str, what: &str) -> String {
    let verb = if ids.len() == 1 { "waits" } else { "wait" };
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{} {when} {verb} for {what}", ids.join(", "))
}

#[cfg(test)]
mod tests {

    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::civil::date;

    use super::{DriftNews, Notifier, RESTART};
    use crate::codes::EventCode;
    use crate::model::{
        ConsentLink, Desired, DesiredCredential, FlowStep, Key, Lifetime, Owner, Secret, TargetName,
    };
    use crate::plan::{SetupState, Why};
    use crate::status::{self, AccessFault, Difference, Link, Mode, SetUpStatus, TargetStatus};
    use crate::target::Stop;

    fn target(link: Link, error: Option<&str>) -> TargetStatus {
        let error = error.map(str::to_owned);
        TargetStatus { link, error, ..TargetStatus::new("http://home".to_owned(), Mode::Repair) }
    }

    fn desired(keys: &[&str]) -> Desired {
        let credentials = keys.iter().map(|key| DesiredCredential::example(key)).collect();
        Desired { owner: Owner::default(), ..Desired::example(credentials) }
    }

    fn events(notifier: &mut Notifier, target: &TargetStatus, is_outage: bool) -> Vec<EventCode> {
        notifier
            .events(target, &DriftNews::default(), is_outage)
            .into_iter()
            .map(|(event, _)| event)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_an_error_when_it_lasts_longer_than_a_restart() {
        let mut notifier = Notifier::new(TargetName::new("home"), Stop::new());
        let since = Timestamp::UNIX_EPOCH;
        let up = target(Link::Up { version: None, since }, None);
        let down = target(Link::Down { since }, Some("connection refused"));
        let refused = target(
            Link::NoAccess { since, why: AccessFault::TokenRefused },
            Some("the token is refused"),
        );
        assert_eq!(events(&mut notifier, &down, true), []);
        assert_eq!(events(&mut notifier, &up, false), [], "it was restarted");
        assert_eq!(events(&mut notifier, &down, true), []);
        tokio::time::advance(RESTART / 2).await;
        assert_eq!(events(&mut notifier, &down, true), []);
        tokio::time::advance(RESTART / 2 + Duration::from_secs(1)).await;
        assert_eq!(events(&mut notifier, &down, true), [EventCode::Error]);
        assert_eq!(events(&mut notifier, &down, true), []);
        assert_eq!(events(&mut notifier, &up, false), [EventCode::Recovered]);
        assert_eq!(events(&mut notifier, &refused, false), [EventCode::Error], "at once");
    }

    fn up() -> TargetStatus {
        target(Link::Up { version: None, since: Timestamp::UNIX_EPOCH }, None)
    }

    fn difference(why: Option<Why>, is_drift: bool) -> Difference {
        Difference { what: "create a".to_owned(), why, is_drift }
    }

    #[tokio::test]
    async fn what_a_person_must_decide_is_notified_once_and_what_waits_for_a_window_is_not() {
        let mut notifier = Notifier::new(TargetName::new("home"), Stop::new());
        let mut home = up();
        let keys = || [Key::new("a").unwrap()].into();
        home.differences = vec![
            difference(Some(Why::Protected { keys: keys() }), false),
            difference(Some(Why::OutsideWindows { next: "Sat".into() }), false),
            difference(Some(Why::InUse { by: Vec::new() }), false),
        ];
        let withheld = (EventCode::Withheld, "not done: create a: `a` is protected".to_owned());
        assert_eq!(notifier.events(&home, &DriftNews::default(), false), [withheld]);
        assert_eq!(notifier.events(&home, &DriftNews::default(), false), []);
    }

    #[tokio::test]
    async fn what_failed_and_waits_for_a_window_has_not_recovered() {
        let mut notifier = Notifier::new(TargetName::new("home"), Stop::new());
        let failed = TargetStatus { error: Some("no".to_owned()), ..up() };
        assert_eq!(events(&mut notifier, &failed, false), [EventCode::Error]);
        let mut waits = up();
        waits.differences =
            vec![difference(Some(Why::OutsideWindows { next: "Sat".into() }), false)];
        assert_eq!(events(&mut notifier, &waits, false), []);
        assert_eq!(events(&mut notifier, &failed, false), [], "it is the same error");
        assert_eq!(events(&mut notifier, &waits, false), []);
        assert_eq!(events(&mut notifier, &up(), false), [EventCode::Recovered]);
    }

    #[tokio::test]
    async fn the_end_of_an_error_says_what_is_still_not_done() {
        let mut notifier = Notifier::new(TargetName::new("home"), Stop::new());
        let failed = TargetStatus { error: Some("no".to_owned()), ..up() };
        assert_eq!(events(&mut notifier, &failed, false), [EventCode::Error]);
        let mut withheld = up();
        withheld.differences = vec![difference(Some(Why::PruneOff), false)];
        let ended = notifier.events(&withheld, &DriftNews::default(), false);
        let said = format!("the error is over; still not done: create a: {}", Why::PruneOff);
        assert_eq!(ended, [(EventCode::Recovered, said)]);
    }

    #[tokio::test]
    async fn what_nobody_consented_to_is_abandoned_and_not_settled() {
        let mut notifier = Notifier::new(TargetName::new("home"), Stop::new());
        let mut home = up();
        home.entries = status::unseen(&desired(&["a", "b", "c"]), &[]);
        let mut step = |states: [SetupState; 3], waits: bool| {
            for (entry, state) in home.entries.iter_mut().zip(states) {
                let link = ConsentLink::new(Secret::new("https://provider.example"), false);
                let waits_for = waits.then(|| Box::new(FlowStep::Consent(link)));
                entry.set_ups = vec![SetUpStatus {
                    account: None,
                    state,
                    trouble: None,
                    waits_for,
                    error: None,
                }];
            }
            notifier.events(&home, &DriftNews::default(), false)
        };
        let begun = step([(); 3].map(|()| SetupState::InProgress), true);
        assert_eq!(begun.len(), 1);
        let ended = [SetupState::Linked(Vec::new()), SetupState::NotSetUp, SetupState::NotWanted];
        let settled = (EventCode::ConsentSettled, "a no longer waits for consent".to_owned());
        let abandoned = "b, c no longer wait for consent; what was open is abandoned".to_owned();
        assert_eq!(step(ended, false), [settled, (EventCode::SetUpAbandoned, abandoned)]);
    }

    #[tokio::test]
    async fn each_stage_of_a_date_is_notified_once_and_so_is_its_end() {
        let day = date(2027, 3, 1);
        let lifetime = Lifetime { expires: Some(day), ..Lifetime::default() };
        let (far, soon) = (date(2027, 1, 1), date(2027, 2, 20));
        let mut home = target(Link::Down { since: Timestamp::UNIX_EPOCH }, None);
        home.entries = status::unseen(&desired(&["a", "b", "c"]), &[]);
        let mut notifier = Notifier::new(TargetName::new("home"), Stop::new());
        let mut on = |today, of: &[&str]| {
            for entry in &mut home.entries {
                let is_dated = of.contains(&entry.key.as_str());
                entry.lifetime =
                    if is_dated { lifetime.on(today, 14) } else { Lifetime::default() };
            }
            notifier.events(&home, &DriftNews::default(), true)
        };
        assert_eq!(on(far, &["a", "b"]), []);
        let both = "`a`: the client expires on 2027-03-01; `b`: the client expires on 2027-03-01";
        assert_eq!(on(soon, &["a", "b"]), [(EventCode::ClientExpiring, both.to_owned())]);
        assert_eq!(on(soon, &["a", "b"]), []);
        let renewed = (EventCode::ClientRenewed, "`b`: nothing is due any more".to_owned());
        let expired = "`a`: the client expired on 2027-03-01".to_owned();
        assert_eq!(on(day, &["a"]), [(EventCode::ClientExpired, expired), renewed]);
        assert_eq!(on(day, &["a"]), []);
    }
}
