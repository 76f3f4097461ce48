//! When a watcher may change something.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// A time of the day, on some days of the week, in which a watcher may change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins; every day where there is none.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Time,
    /// When it ends: on the next day where that is not after its beginning.
    pub to: Time,
    /// The time zone; that of this machine where there is none.
    pub zone: Option<TimeZone>,
}

/// All windows of a project. Where there is none, everything may be changed at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows(pub Vec<Window>);

impl Windows {
    /// The same, with this time zone where a window names none.
    #[must_use]
    pub fn in_zone(&self, local: &TimeZone) -> Self {
        let in_zone = |window: &Window| Window {
            zone: Some(window.zone.clone().unwrap_or_else(|| local.clone())),
            ..window.clone()
        };
        Self(self.0.iter().map(in_zone).collect())
    }

    /// Whether something may be changed now.
    pub fn are_open(&self, now: Timestamp) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|window| {
                window.around(now).iter().any(|(begin, end)| (begin..end).contains(&&now))
            })
    }

    /// When the next one begins.
    pub fn next(&self, now: Timestamp) -> Option<Zoned> {
        let begin = |window: &Window| {
            let begins = window.around(now).into_iter().map(|(begin, _)| begin);
            let next = begins.filter(|begin| *begin > now).min()?;
            Some(next.to_zoned(window.time_zone()))
        };
        self.0.iter().filter_map(begin).min()
    }

    /// The same as people read it, as in `Sat 2026-11-28 02:00 CET`; empty where there is none.
    pub fn next_in_words(&self, now: Timestamp) -> String {
        let next = self.next(now).map(|next| next.strftime("%a %Y-%m-%d %H:%M %Z").to_string());
        next.unwrap_or_default()
    }
}

impl Window {
    fn time_zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }

    /// The times at which it is open, from yesterday until a week has passed. Where clocks are changed meanwhile,
    /// it is rather longer than shorter, so that it does not fall out.
    fn around(&self, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let zone = self.time_zone();
        let at = |date: Date, time: Time| zone.to_ambiguous_timestamp(date.to_datetime(time));
        let today = now.to_zoned(zone.clone()).date();
        let dates = (-1..=8).filter_map(|days| today.checked_add(days.days()).ok());
        let dates =
            dates.filter(|date| self.days.is_empty() || self.days.contains(&date.weekday()));
        dates
            .filter_map(|date| {
                let last = if self.to > self.from { date } else { date.tomorrow().ok()? };
                Some((at(date, self.from).earlier().ok()?, at(last, self.to).later().ok()?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Time, Weekday};
    use jiff::tz::TimeZone;

    use super::{Window, Windows};

    fn windows(days: &[Weekday], from: &str, to: &str) -> Windows {
        let (from, to): (Time, Time) = (from.parse().unwrap(), to.parse().unwrap());
        let zone = Some(TimeZone::get("Europe/Berlin").unwrap());
        Windows(vec![Window { days: days.to_vec(), from, to, zone }])
    }

    /// Whether they are open then, and when the next one begins.
    #[track_caller]
    fn check(windows: &Windows, now: &str, is_open: bool, next: &str) {
        let now = now.parse().unwrap();
        assert_eq!(windows.are_open(now), is_open, "{now}");
        assert_eq!(windows.next(now).unwrap().timestamp().to_string(), next, "{now}");
    }

    #[test]
    fn without_windows_everything_may_be_changed() {
        let none = Windows::default();
        assert!(none.are_open(jiff::Timestamp::UNIX_EPOCH));
        assert!(none.next(jiff::Timestamp::UNIX_EPOCH).is_none());
    }

    #[test]
    fn a_window_is_open_on_its_days_from_its_beginning_to_before_its_end() {
        let weekend = windows(&[Weekday::Saturday, Weekday::Sunday], "02:00", "05:00");
        check(&weekend, "2026-11-26T12:00:00Z", false, "2026-11-28T01:00:00Z");
        check(&weekend, "2026-11-28T00:59:59Z", false, "2026-11-28T01:00:00Z");
        check(&weekend, "2026-11-28T01:00:00Z", true, "2026-11-29T01:00:00Z");
        check(&weekend, "2026-11-28T04:00:00Z", false, "2026-11-29T01:00:00Z");
        check(&weekend, "2026-11-29T12:00:00Z", false, "2026-12-05T01:00:00Z");
    }

    #[test]
    fn a_window_may_end_on_the_day_after() {
        let friday = windows(&[Weekday::Friday], "23:00", "01:00");
        check(&friday, "2026-11-27T23:30:00Z", true, "2026-12-04T22:00:00Z");
        check(&friday, "2026-11-28T00:00:00Z", false, "2026-12-04T22:00:00Z");
        let always = windows(&[], "00:00", "00:00");
        check(&always, "2026-11-27T22:59:59Z", true, "2026-11-27T23:00:00Z");
        check(&always, "2026-11-27T23:00:00Z", true, "2026-11-28T23:00:00Z");
    }

    /// On 2027-03-28 02:00 is followed by 03:00, and on 2026-10-25 02:59 by 02:00.
    #[test]
    fn no_window_falls_out_when_clocks_are_changed() {
        let short = windows(&[], "02:30", "03:00");
        check(&short, "2027-03-28T00:15:00Z", false, "2027-03-28T00:30:00Z");
        check(&short, "2027-03-28T00:45:00Z", true, "2027-03-29T00:30:00Z");
        check(&short, "2027-03-28T01:00:00Z", false, "2027-03-29T00:30:00Z");
        let night = windows(&[], "01:00", "02:30");
        check(&night, "2026-10-24T23:30:00Z", true, "2026-10-26T00:00:00Z");
        check(&night, "2026-10-25T01:15:00Z", true, "2026-10-26T00:00:00Z");
        check(&night, "2026-10-25T01:30:00Z", false, "2026-10-26T00:00:00Z");
    }

    #[test]
    fn a_window_without_a_zone_is_in_that_of_the_machine() {
        let mut window = windows(&[], "02:00", "05:00");
        window.0[0].zone = None;
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        check(&window.in_zone(&tokyo), "2026-11-26T17:00:00Z", true, "2026-11-27T17:00:00Z");
    }
}
