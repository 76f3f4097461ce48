//! How simulations run: in one thread, on tokio's paused clock, and the same each time they are run with the same seed.
//!
//! tokio orders by random numbers what is ready at once (`select!`, `watch`), and takes their seed with
//! `--cfg tokio_unstable` alone, as `tests/run` has it. Without that, two histories of one seed differ.

use std::cell::Cell;
use std::fmt;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::Instant;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Runs the histories that are asked for, or so many. With `--nocapture`, one that is asked for says what it does.
pub(crate) fn simulate_histories<F: Future<Output = ()>>(usual: u64, of: impl Fn(u64) -> F) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seeds = match number("APPCRED_HISTORY") {
        Some(seed) => {
            let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
            let log = log.with_timer(SimulatedTime).with_ansi(false).with_test_writer().finish();
            let ours = ["appcred", "it"].map(|name| (name, LevelFilter::TRACE));
            log.with(Targets::new().with_default(LevelFilter::INFO).with_targets(ours)).init();
            seed..seed + 1
        }
        None => 0..number("APPCRED_HISTORIES").unwrap_or(usual),
    };
    for seed in seeds {
        simulated(seed, of(seed));
    }
}

/// Runs so many histories of a test twice: all that happens is the same, in the same order and at the same moments. Each
/// has a process of its own, since the tests beside it change what is logged.
pub(crate) fn come_from_their_seeds(many: u64, test: &str) {
    for seed in 0..many {
        let [first, second] = [(), ()].map(|()| history(test, seed));
        let mut lines = first.lines().zip(second.lines());
        let differing = lines.find(|(first, second)| first != second);
        assert!(
            first == second,
            "history {seed} is another one when it is run again: {differing:#?}"
        );
    }
}

/// All that is logged in a history, with the simulated time.
fn history(test: &str, seed: u64) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env("APPCRED_HISTORY", seed.to_string());
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "history {seed}: {ran:?}");
    let text = String::from_utf8(ran.stdout).unwrap();
    let logged = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let logged: String = logged.flat_map(|line| [line, "\n"]).collect();
    assert!(logged.contains(" TRACE "), "history {seed} says nothing: {text}");
    logged
}

/// Runs this, with all random numbers from a seed. Time goes on by itself.
pub(crate) fn simulated(seed: u64, of: impl Future<Output = ()>) {
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().start_paused(true);
    let begun = Arc::new(OnceLock::new());
    let known = Arc::clone(&begun);
    let begin = move || BEGUN.set(known.get().copied());
    #[cfg(tokio_unstable)]
    let gate = ordered::order(&mut runtime, seed, begin);
    #[cfg(not(tokio_unstable))]
    runtime.on_thread_start(begin);
    let runtime = runtime.build().unwrap();
    // It is dropped before the runtime, which waits for its threads.
    #[cfg(tokio_unstable)]
    let _gate = gate;
    runtime.block_on(async {
        fastrand::seed(seed);
        BEGUN.set(Some(*begun.get_or_init(Instant::now)));
        of.await;
    });
}

thread_local! {
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// For how long it is simulated so far.
pub(crate) fn elapsed() -> Duration {
    BEGUN.get().map_or(Duration::ZERO, |begun| begun.elapsed())
}

#[cfg(tokio_unstable)]
mod ordered {
    use std::cell::RefCell;
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Duration;

    use tokio::runtime::{Builder, Handle, RngSeed};
    use tracing::dispatcher::{DefaultGuard, get_default, set_default};

    thread_local! {
        static LOG: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    }

    /// Has the seed order what is ready at once, and blocking work done while nothing is: all of it, one piece after the
    /// other, in a thread that is gone before anything goes on, and that begins with this.
    pub(super) fn order(
        runtime: &mut Builder,
        seed: u64,
        begin: impl Fn() + Send + Sync + 'static,
    ) -> Gate {
        let gate = Gate::default();
        let [start, park, stop] = std::array::from_fn(|_| Arc::clone(&gate.0));
        let log = get_default(Clone::clone);
        runtime
            .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::ZERO)
            .on_thread_start(move || {
                start.pass();
                begin();
                LOG.set(Some(set_default(&log)));
            })
            .on_thread_park(move || park.let_through())
            .on_thread_stop(move || stop.say());
        gate
    }

    /// Where blocking work waits. It is open from when this is dropped.
    #[derive(Default)]
    pub(super) struct Gate(Arc<GateState>);

    #[derive(Default)]
    struct GateState {
        is_open: Mutex<bool>,
        changed: Condvar,
    }

    impl GateState {
        fn pass(&self) {
            let is_open = self.is_open.lock().unwrap();
            drop(self.changed.wait_while(is_open, |is_open| !*is_open).unwrap());
        }

        /// Waits until there is no thread with blocking work any more.
        fn let_through(&self) {
            let metrics = Handle::current().metrics();
            let mut is_open = self.is_open.lock().unwrap();
            while metrics.num_blocking_threads() > 0 {
                *is_open = true;
                self.changed.notify_all();
                is_open = self.changed.wait(is_open).unwrap();
            }
            *is_open = false;
        }

        fn say(&self) {
            // Whoever looks whether there is a thread is either before that, or waits.
            drop(self.is_open.lock().unwrap());
            self.changed.notify_all();
        }
    }

    impl Drop for Gate {
        fn drop(&mut self) {
            *self.0.is_open.lock().unwrap() = true;
            self.0.say();
        }
    }
}

struct SimulatedTime;

impl FormatTime for SimulatedTime {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        write!(to, "{:.6}", elapsed().as_secs_f64())
    }
}
