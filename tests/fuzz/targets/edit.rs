//! What is edited in place is read again as what was meant.

#![no_main]

use appcred::yaml_edit::{NewValue, SlotValue, put, slots};
use libfuzzer_sys::fuzz_target;

const ARMORED: &str = include_str!("../armored.age");

fuzz_target!(|text: &str| {
    let Ok(before) = slots(text) else { return };
    // What is folded is no age file any more, and is refused before anything is written.
    let is_folded = |held: &str| !held.trim().contains('\n');
    if before.iter().any(|slot| matches!(&slot.held, SlotValue::Age(held) if is_folded(held))) {
        return;
    }
    let new: Vec<_> = before.iter().map(|slot| (slot, NewValue::Age(ARMORED))).collect();
    let Ok(made) = put(text, &new) else { return };
    let after = slots(&made).expect("what was made can be read");
    assert_eq!(after.len(), before.len(), "{text:?} became {made:?}");
    for slot in after {
        let is_meant = matches!(&slot.held, SlotValue::Age(held) if held.trim() == ARMORED.trim());
        assert!(is_meant, "{text:?} became {made:?}");
    }
});
