//! The windows in which a watcher may change something.

use super::decode::Decoder;
use super::schema::WindowInput;
use crate::diagnostic::ProblemCode;
use crate::field::{Field, FieldRefusal, Raw};
use crate::model::{Window, Windows};

const ANY_TIME: &str = "leave it out if that may be at any time; `suspend: true` in a target keeps everything there as it is";

impl Decoder<'_> {
    pub(super) fn windows(&self, list: &Field<Raw<Vec<WindowInput>>>) -> Windows {
        let Some(list) = self.raw(list) else { return Windows::default() };
        match list.list() {
            Ok(items) => {
                let windows: Vec<_> = items.map(|item| self.window(self.read(item)?)).collect();
                if windows.is_empty() {
                    let why = "is empty, so it does not say when something may be changed";
                    self.refuse(list, empty(why, ANY_TIME));
                }
                Windows(windows.into_iter().flatten().collect())
            }
            Err(refusal) => {
                self.refuse(list, refusal);
                Windows::default()
            }
        }
    }

    fn window(&self, input: WindowInput) -> Option<Window> {
        if let Some(days) = &input.days
            && days.value.as_ref().is_some_and(Vec::is_empty)
        {
            let why = "is empty, so the window never begins";
            self.refuse(self.site(days), empty(why, "leave it out if the window begins every day"));
            return None;
        }
        let days = self.each(input.days).collect();
        let (from, to) = (self.text(input.from), self.text(input.to));
        let zone = input.time_zone.map_or(Some(None), |zone| self.text(zone).map(Some));
        Some(Window {
            days,
            from: from?.value.0,
            to: to?.value.0,
            zone: zone?.map(|zone| zone.value),
        })
    }
}

fn empty(why: &'static str, help: &'static str) -> FieldRefusal {
    FieldRefusal::new(ProblemCode::BadValue, why).help(help)
}
