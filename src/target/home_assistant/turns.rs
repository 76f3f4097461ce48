//! One run at a time goes on with a set-up. Runs on several machines share no lock but
//! what HA keeps for its user.
//!
//! HA has no "set if it is unset". So a run writes its id where none is, and has the turn if the id is
//! still there after [`HESITATION`]: of all that found none, the last to write. A run takes far less
//! than that from reading to writing. As long as it is at work, it writes a new number beside its id
//! every [`RENEWAL`]; one that no longer does was cut off, and another takes the turn. Whoever finds
//! that out later, as after its machine was asleep, ends what it has begun, and begins nothing more.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::HomeAssistant;
use super::flow_notes::kept_under;
use super::messages::Command;
use crate::model::{EntryId, SetUpOf};
use crate::target::{Refusal, Stop};

/// Behind the mark in the key of the run that has the turn.
const TURN: &str = "#turn";
pub(super) const HESITATION: Duration = Duration::from_secs(1);
const RENEWAL: Duration = Duration::from_secs(10);
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// A run whose number was the same at so many checks in a row was cut off. Time alone says nothing:
/// where HA is busy, it takes no new number either.
const CUT_OFF_CHECKS: u32 = 150;
/// A wait that is longer is reported.
const USUAL_WAIT: Duration = Duration::from_secs(5);
const _: () = assert!(
    CHECK_INTERVAL.as_millis() * CUT_OFF_CHECKS as u128 >= 3 * RENEWAL.as_millis(),
    "a run at work misses two renewals before it counts as cut off"
);

/// Where it is written whose turn it is.
trait TurnRecord {
    /// The id of the run and its number; none where nobody has the turn.
    async fn read(&self) -> Result<Option<String>, Refusal>;

    async fn write(&self, holder: Option<String>) -> Result<(), Refusal>;
}

/// What HA keeps for its user.
struct Kept<'a> {
    ha: &'a HomeAssistant,
    key: String,
}

impl TurnRecord for Kept<'_> {
    async fn read(&self) -> Result<Option<String>, Refusal> {
        let holder = kept_under(&self.ha.connection, &self.key).await?;
        Ok(holder.as_str().map(str::to_owned))
    }

    async fn write(&self, holder: Option<String>) -> Result<(), Refusal> {
        let command = Command::WriteUserData { key: self.key.clone(), value: holder.into() };
        Ok(self.ha.connection.ask(command).await?)
    }
}

/// What one run at a time is at.
#[derive(Clone, Copy, Debug)]
pub struct TurnOf<'a> {
    /// The set-up.
    pub of: SetUpOf<'a>,
    /// The account that is linked again.
    pub account: Option<&'a EntryId>,
}

impl HomeAssistant {
    /// Does what only one run at a time may do for this set-up, once no other run is at it.
    ///
    /// The work is asked to stop where `stop` is, and where the turn is lost: another run has it by now, or HA does
    /// not answer any more. It is not cut off: a flow that HA is about to start would be lost.
    ///
    /// # Errors
    /// That of the work; where HA does not answer, when stopped before, and where the work ended since the turn was lost.
    pub async fn in_turn<T>(
        &self,
        turn: TurnOf<'_>,
        stop: &Stop,
        work: impl AsyncFnOnce(&Stop) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let record = self.turn(turn);
        let mut taking = pin!(take(&record, &self.run, stop));
        match timeout(USUAL_WAIT, &mut taking).await {
            Ok(taken) => taken?,
            Err(_) => {
                tracing::warn!(
                    "waiting for another appcred, which is at the set-up of {}",
                    turn.of
                );
                taking.await?;
            }
        }
        hold(&record, &self.run, stop, work).await
    }

    /// Makes sure that no other run has the turn that this one took.
    ///
    /// # Errors
    /// Where another run has it by now, or HA does not answer.
    pub async fn check_turn(&self, turn: TurnOf<'_>) -> Result<(), Refusal> {
        match self.turn(turn).read().await? {
            Some(holder) if !is_of(&holder, &self.run) => Err(overtaken()),
            _ => Ok(()),
        }
    }

    fn turn(
        &self,
        TurnOf { of: SetUpOf { mark, account: name }, account }: TurnOf<'_>,
    ) -> Kept<'_> {
        let name = name.map(|name| format!(".{}", name.as_str())).unwrap_or_default();
        let account = account.map(|account| format!(":{account}")).unwrap_or_default();
        Kept { ha: self, key: format!("{mark}{TURN}{name}{account}") }
    }
}

async fn take(record: &impl TurnRecord, run: &str, stop: &Stop) -> Result<(), Refusal> {
    let (mut last, mut checks) = (None, 0);
    while !stop.is_cancelled() {
        let holder = record.read().await?;
        checks = if holder == last { checks + 1 } else { 0 };
        if holder.is_some() && checks < CUT_OFF_CHECKS {
            last = holder;
            stop.run_until_cancelled(sleep(CHECK_INTERVAL)).await;
            continue;
        }
        record.write(Some(run.to_owned())).await?;
        let is_stopped = stop.run_until_cancelled(sleep(HESITATION)).await.is_none();
        let holder = record.read().await?;
        if is_stopped {
            end(record, run).await?;
        } else if holder.as_deref().is_some_and(|holder| is_of(holder, run)) {
            return Ok(());
        }
        (last, checks) = (holder, 0);
    }
    Err(Refusal::Stopped)
}

async fn hold<T>(
    record: &impl TurnRecord,
    run: &str,
    stop: &Stop,
    work: impl AsyncFnOnce(&Stop) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let ends = stop.child_token();
    let mut work = pin!(work(&ends));
    let result = tokio::select! {
        biased;
        why = renew(record, run) => {
            ends.cancel();
            match work.await {
                Err(Refusal::Stopped) if !stop.is_cancelled() => Err(why),
                result => result,
            }
        }
        result = &mut work => result,
    };
    if let Err(why) = end(record, run).await {
        tracing::debug!(%why, "other runs wait until this turn counts as cut off");
    }
    result
}

/// Renews the turn until that is not possible, and says why.
async fn renew(record: &impl TurnRecord, run: &str) -> Refusal {
    let mut number = 0;
    loop {
        sleep(RENEWAL).await;
        number += 1;
        let renewed = match record.read().await {
            Ok(Some(holder)) if !is_of(&holder, run) => Err(overtaken()),
            Ok(_) => record.write(Some(format!("{run} {number}"))).await,
            Err(why) => Err(why),
        };
        if let Err(why) = renewed {
            return why;
        }
    }
}

fn overtaken() -> Refusal {
    let why = "another appcred has gone on with this set-up, since this one was too slow";
    Refusal::Failed(why.to_owned())
}

/// Gives the turn back, unless another run has it by now.
async fn end(record: &impl TurnRecord, run: &str) -> Result<(), Refusal> {
    match record.read().await? {
        Some(holder) if is_of(&holder, run) => record.write(None).await,
        _ => Ok(()),
    }
}

fn is_of(holder: &str, run: &str) -> bool {
    holder.split(' ').next() == Some(run)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{HESITATION, RENEWAL, TurnRecord, end, hold, take};
    use crate::target::{Refusal, Stop};

    /// One place for all runs.
    #[derive(Default)]
    struct Shared(RefCell<Option<String>>);

    impl TurnRecord for Shared {
        async fn read(&self) -> Result<Option<String>, Refusal> {
            Ok(self.0.borrow().clone())
        }

        async fn write(&self, holder: Option<String>) -> Result<(), Refusal> {
            *self.0.borrow_mut() = holder;
            Ok(())
        }
    }

    fn held_by(run: &str) -> Shared {
        Shared(RefCell::new(Some(run.to_owned())))
    }

    /// Works so long, unless it is stopped, and tells when it ended.
    async fn work(seconds: u64, stop: &Stop) -> Result<Instant, Refusal> {
        stop.run_until_cancelled(sleep(Duration::from_secs(seconds))).await;
        Ok(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_at_work_keeps_its_turn_however_long_that_takes() {
        let (record, stop) = (held_by("a"), Stop::new());
        let second = async {
            take(&record, "b", &stop).await.unwrap();
            Instant::now()
        };
        // The start of a flow may take five minutes.
        let (ended, begun) =
            tokio::join!(hold(&record, "a", &stop, async |stop| work(300, stop).await), second);
        assert!(begun > ended.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn the_turn_of_a_run_that_was_cut_off_is_taken_by_one() {
        let (record, stop) = (held_by("a 7"), Stop::new());
        let turn = async |run: &str| {
            take(&record, run, &stop).await.unwrap();
            let begun = Instant::now();
            (begun, hold(&record, run, &stop, async |stop| work(20, stop).await).await.unwrap())
        };
        let (first, second) = tokio::join!(turn("b"), turn("c"));
        assert!(first.1 <= second.0 || second.1 <= first.0, "{first:?} {second:?}");
        assert_eq!(*record.0.borrow(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_lost_its_turn_ends_what_it_began_and_leaves_the_other_its_turn() {
        let (record, stop, begun) = (held_by("a"), Stop::new(), Instant::now());
        let overtaken = async {
            sleep(RENEWAL / 2).await;
            record.write(Some("b 1".to_owned())).await.unwrap();
        };
        let mut ended = None;
        let works = async |stop: &Stop| {
            // A request that is on its way.
            sleep(RENEWAL * 2).await;
            ended = Some(work(60, stop).await?);
            Err::<(), _>(Refusal::Stopped)
        };
        let (result, ()) = tokio::join!(hold(&record, "a", &stop, works), overtaken);
        let Err(Refusal::Failed(why)) = result else { panic!("{result:?}") };
        assert!(why.contains("another appcred"), "{why}");
        assert_eq!(ended, Some(begun + RENEWAL * 2));
        let done = hold(&record, "a", &stop, async |stop| work(60, stop).await);
        assert_eq!(done.await, Ok(begun + RENEWAL * 3), "what is done is done");
        end(&record, "a").await.unwrap();
        assert_eq!(record.0.borrow().as_deref(), Some("b 1"));
        end(&record, "b").await.unwrap();
        assert_eq!(*record.0.borrow(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_wait_for_a_turn() {
        let (record, stop) = (held_by("a"), Stop::new());
        let stops = async {
            sleep(RENEWAL * 6).await;
            stop.cancel();
            Instant::now()
        };
        let second = async {
            let taken = take(&record, "b", &stop).await;
            (taken, Instant::now())
        };
        let never = Stop::new();
        let first = hold(&record, "a", &never, async |stop| work(600, stop).await);
        let (ended, (taken, at), stopped) = tokio::join!(first, second, stops);
        assert_eq!((taken, at), (Err(Refusal::Stopped), stopped));
        assert!(ended.unwrap() > stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_stopped_right_after_it_took_the_turn_gives_it_back() {
        let (record, stop) = (Shared::default(), Stop::new());
        let stops = async {
            sleep(HESITATION / 2).await;
            assert_eq!(record.0.borrow().as_deref(), Some("a"));
            stop.cancel();
        };
        let (taken, ()) = tokio::join!(take(&record, "a", &stop), stops);
        assert_eq!((taken, record.0.borrow().as_deref()), (Err(Refusal::Stopped), None));
    }
}
