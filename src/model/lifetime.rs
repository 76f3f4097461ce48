//! How long a client may be used.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Until when a client may be used, as its entry says. A day is one of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// The first day on which the provider does not accept it.
    pub expires: Option<Date>,
    /// The first day on which its secret should be replaced.
    pub rotate_after: Option<Date>,
    /// What was due on the day when the entry was read last.
    pub due: Option<Due>,
}

/// What is due of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Its secret should be replaced.
    Rotation,
    /// It expires soon.
    Expiring,
    /// It has expired.
    Expired,
}

impl Lifetime {
    /// What is due on a day; a client expires soon where that is at most `within` days away.
    #[must_use]
    pub fn on(self, today: Date, within: u16) -> Self {
        // Where there is no such day any more, every client expires before it.
        let soon = today.checked_add(jiff::Span::new().days(within)).unwrap_or(Date::MAX);
        let due = [
            (self.expires, today, Due::Expired),
            (self.expires, soon, Due::Expiring),
            (self.rotate_after, today, Due::Rotation),
        ];
        let due = due.into_iter().find(|(date, by, _)| date.is_some_and(|date| date <= *by));
        Self { due: due.map(|(.., due)| due), ..self }
    }

    /// What is due, in words.
    pub fn notice(&self) -> Option<String> {
        let (what, day) = match self.due? {
            Due::Rotation => ("the secret has been due for rotation since", self.rotate_after?),
            Due::Expiring => ("the client expires on", self.expires?),
            Due::Expired => ("the client expired on", self.expires?),
        };
        Some(format!("{what} {day}"))
    }
}

/// The day of a moment.
pub fn day(moment: Timestamp) -> Date {
    moment.to_zoned(TimeZone::UTC).date()
}

/// When a day begins, in seconds since 1970; `None` before the year that has such numbers.
pub fn begin_of(day: Date) -> Option<Timestamp> {
    day.to_zoned(TimeZone::UTC).ok().map(|begin| begin.timestamp())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::{Date, date};

    use super::{Due, Lifetime, begin_of, day};

    fn due(expires: Option<Date>, rotate_after: Option<Date>, today: Date) -> Option<Due> {
        Lifetime { expires, rotate_after, due: None }.on(today, 14).due
    }

    #[test]
    fn what_is_due_follows_from_the_day() {
        let end = date(2027, 3, 1);
        let on = |today| due(Some(end), None, today);
        assert_eq!(on(date(2027, 2, 14)), None);
        assert_eq!(on(date(2027, 2, 15)), Some(Due::Expiring));
        assert_eq!(on(date(2027, 2, 28)), Some(Due::Expiring));
        assert_eq!(on(end), Some(Due::Expired), "on that day it is accepted no more");
        assert_eq!(due(None, Some(end), date(2027, 2, 28)), None);
        assert_eq!(due(None, Some(end), end), Some(Due::Rotation));
        assert_eq!(due(None, None, Date::MAX), None);
    }

    #[test]
    fn what_is_worst_counts() {
        let (rotation, end) = (Some(date(2027, 1, 1)), Some(date(2027, 3, 1)));
        assert_eq!(due(end, rotation, date(2027, 2, 1)), Some(Due::Rotation));
        assert_eq!(due(end, rotation, date(2027, 2, 20)), Some(Due::Expiring));
        assert_eq!(due(end, rotation, date(2028, 1, 1)), Some(Due::Expired));
    }

    #[test]
    fn no_date_is_too_far_away() {
        assert_eq!(due(Some(Date::MAX), None, Date::MAX), Some(Due::Expired));
        assert_eq!(due(Some(Date::MAX), None, date(9999, 12, 20)), Some(Due::Expiring));
    }

    #[test]
    fn a_day_is_one_of_utc() {
        let last: Timestamp = "2027-02-28T23:59:59Z".parse().unwrap();
        assert_eq!(day(last), date(2027, 2, 28));
        let begin = begin_of(date(2027, 3, 1)).unwrap();
        assert_eq!(begin, "2027-03-01T00:00:00Z".parse().unwrap());
        assert_eq!(day(begin), date(2027, 3, 1));
    }
}
