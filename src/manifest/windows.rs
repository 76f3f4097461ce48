//! The windows in which a watcher may change something.

use super::decode::Decoder;
use super::schema::WindowInput;
use crate::field::{Field, Raw};
use crate::model::{Window, Windows};

impl Decoder<'_> {
    pub(super) fn windows(&self, list: &Field<Raw<Vec<WindowInput>>>) -> Windows {
        let Some(list) = self.raw(list) else { return Windows::default() };
        match list.list() {
            Ok(items) => Windows(items.filter_map(|item| self.window(self.read(item)?)).collect()),
            Err(refusal) => {
                self.refuse(list, refusal);
                Windows::default()
            }
        }
    }

    fn window(&self, input: WindowInput) -> Option<Window> {
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
