//! What goes to standard error while a verb works.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
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
        LogFormat::Text => registry.with(lines.with_ansi(console::has_color())).init(),
        LogFormat::Json => registry.with(lines.json()).init(),
    }
}

/// Libraries are left out: they repeat what they receive, secrets included, and warn of what is reported anyway.
fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), level)
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing::level_filters::LevelFilter;

    use super::ours;

    // kube warns with the whole answer where a Secret cannot be read.
    #[test]
    fn libraries_say_nothing_at_any_level() {
        for level in [LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG] {
            let said = |target| ours(level).would_enable(target, &Level::ERROR);
            assert!(said("appcred::watch::round_log"));
            assert!(!said("kube_client::client"));
        }
    }
}
