//! What goes to standard error while a verb works.

use std::fmt::Result;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use super::{Global, LogFormat, console};

pub(super) fn start(global: &Global, is_daemon: bool) {
    let level = match global.verbose.saturating_add(u8::from(is_daemon)) {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let format = global.log_format;
    let lines = fmt::layer().with_writer(move || console::Log(format)).with_target(false);
    let registry = registry().with(ours(level));
    match format {
        LogFormat::Text if level == LevelFilter::WARN => {
            registry.with(lines.event_format(WarningLine)).init();
        }
        LogFormat::Text => registry.with(lines.with_ansi(console::has_color())).init(),
        LogFormat::Json => registry.with(lines.json()).init(),
    }
}

/// As everything else is worded that a verb says to a person.
struct WarningLine;

impl<S, N> FormatEvent<S, N> for WarningLine
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> Result {
        let is_error = *event.metadata().level() == Level::ERROR;
        line.write_str(if is_error { "error: " } else { "warning: " })?;
        context.format_fields(line.by_ref(), event)?;
        line.write_char('\n')
    }
}

/// Libraries are left out: they repeat what they receive, secrets included, and warn of what is reported anyway.
fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), level)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use tracing::Level;
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{fmt, registry};

    use super::{WarningLine, ours};

    // kube warns with the whole answer where a Secret cannot be read.
    #[test]
    fn libraries_say_nothing_at_any_level() {
        for level in [LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG] {
            let said = |target| ours(level).would_enable(target, &Level::ERROR);
            assert!(said("appcred::watch::round_log"));
            assert!(!said("kube_client::client"));
        }
    }

    #[test]
    fn a_person_reads_a_warning_as_any_other() {
        let mut file = tempfile::tempfile().unwrap();
        let lines = fmt::layer().with_ansi(false).event_format(WarningLine);
        let log = registry().with(lines.with_writer(file.try_clone().unwrap()));
        tracing::subscriber::with_default(log, || {
            tracing::warn!("http://home: an account cannot be read");
            tracing::error!(why = "no", "it ended");
        });
        let mut said = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut said).unwrap();
        let expected =
            "warning: http://home: an account cannot be read\nerror: it ended why=\"no\"\n";
        assert_eq!(said, expected);
    }
}
