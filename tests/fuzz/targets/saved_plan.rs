//! A saved plan is read and written as it was, or refused.

#![no_main]

use appcred::plan_file::PlanFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(plan) = PlanFile::parse(text) else { return };
    let written = plan.to_text().expect("it can be written");
    let again = PlanFile::parse(&written).expect("what was written can be read");
    assert!(plan.differences(&again).is_empty());
});
