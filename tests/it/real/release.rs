//! The releases of Home Assistant (HA) that tests run against: the oldest and the newest that appcred
//! supports, and one between.

use std::path::PathBuf;

/// A release that `tests/real/home_assistant/set_up` brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Release {
    Ha2024_3,
    Ha2025_12,
    Ha2026_11,
}

impl Release {
    pub(crate) const ALL: [Self; 3] = [Self::Ha2024_3, Self::Ha2025_12, Self::Ha2026_11];

    /// As its folder is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ha2024_3 => "2024.3",
            Self::Ha2025_12 => "2025.12",
            Self::Ha2026_11 => "2026.11",
        }
    }

    /// Its Python.
    #[track_caller]
    pub(crate) fn python(self) -> PathBuf {
        let name = self.name();
        let root = env!("CARGO_MANIFEST_DIR");
        let python = format!("{root}/target/home-assistant/{name}/current/bin/python");
        let python = PathBuf::from(python);
        assert!(
            python.exists(),
            "Home Assistant {name} is missing: run tests/run or tests/real/home_assistant/set_up"
        );
        python
    }
}

/// Makes a test of a function for each release: `each_release!(works);` makes `works::ha_2024_3`, …
macro_rules! each_release {
    ($test:ident) => {
        mod $test {
            use $crate::real::Release;

            #[test]
            fn ha_2024_3() {
                super::$test(Release::Ha2024_3);
            }

            #[test]
            fn ha_2025_12() {
                super::$test(Release::Ha2025_12);
            }

            #[test]
            fn ha_2026_11() {
                super::$test(Release::Ha2026_11);
            }
        }
    };
}

pub(crate) use each_release;
