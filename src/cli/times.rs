//! Times on the command line.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::model::counted;

const HOUR: Duration = Duration::from_secs(3_600);
const YEAR_SECONDS: u64 = 31_536_000;

/// Reads `30m`, `24h`, `7d` and whatever else jiff takes for a time.
pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    let span: Result<Span, _> = text.parse();
    span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| format!("`{text}` is not a duration such as 30m, 24h or 7d"))
}

/// Reads a number of seconds, or a time, of a second to a year.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().or_else(|| duration(text).ok()?.as_secs().try_into().ok());
    let seconds = seconds.filter(|seconds| (1..=YEAR_SECONDS).contains(seconds));
    seconds.ok_or_else(|| {
        format!(
            "`{text}` is not a time such as 300, 30s or 5m, of at least a second and at most a year"
        )
    })
}

/// A number of seconds in the largest unit that says it exactly, as in `10 minutes`.
pub(super) fn exactly(seconds: u64) -> String {
    let (number, unit) = match seconds {
        all if all % 3_600 == 0 => (all / 3_600, "hour"),
        all if all % 60 == 0 => (all / 60, "minute"),
        all => (all, "second"),
    };
    counted(usize::try_from(number).unwrap_or(usize::MAX), unit)
}

/// Reads a time of an hour or more: providers limit requests.
pub(super) fn hour_or_more(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let time = Duration::try_from(time).ok().filter(|time| *time >= HOUR);
    time.ok_or_else(|| format!("`{text}` is less than an hour, and providers limit requests"))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::{duration, hour_or_more, seconds};

    #[test]
    fn a_time_is_read_as_people_write_it() {
        assert_eq!(duration("7d").unwrap(), SignedDuration::from_hours(168));
        assert_eq!(duration("1h 30m").unwrap(), SignedDuration::from_mins(90));
        for wrong in ["", "soon", "7"] {
            assert!(duration(wrong).is_err() && hour_or_more(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            ["300", "5m", "1s", "365d"].map(|text| seconds(text).unwrap()),
            [300, 300, 1, 31_536_000]
        );
        for wrong in ["", "0", "0s", "-5", "366d", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(hour_or_more("1h").unwrap().as_secs(), 3_600);
        for wrong in ["59m", "0", "-1d", "daily"] {
            assert!(hour_or_more(wrong).is_err(), "{wrong}");
        }
    }
}
